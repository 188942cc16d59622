package imitatedpackage

import (
	"strings"

	"gatehouse/internal/inventory"
)

// wellKnown are packages of servers that are widely used: the reference servers, servers
// that services publish for themselves, and others that many people start. That a name
// stands here says that it is imitated, not that it is good.
var wellKnown = map[inventory.Kind][]string{
	inventory.NPM: strings.Fields(`
		@modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory @modelcontextprotocol/server-everything @modelcontextprotocol/server-sequential-thinking
		@modelcontextprotocol/server-github @modelcontextprotocol/server-gitlab @modelcontextprotocol/server-google-maps @modelcontextprotocol/server-brave-search
		@modelcontextprotocol/server-postgres @modelcontextprotocol/server-puppeteer @modelcontextprotocol/server-redis @modelcontextprotocol/server-slack
		@modelcontextprotocol/server-gdrive @modelcontextprotocol/server-everart @modelcontextprotocol/server-aws-kb-retrieval @modelcontextprotocol/inspector
		@playwright/mcp @notionhq/notion-mcp-server @upstash/context7-mcp @sentry/mcp-server @stripe/mcp figma-developer-mcp @supabase/mcp-server-supabase
		@cloudflare/mcp-server-cloudflare mcp-remote supergateway firecrawl-mcp exa-mcp-server tavily-mcp @azure/mcp @azure-devops/mcp chrome-devtools-mcp
		@hubspot/mcp-server mongodb-mcp-server @elastic/mcp-server-elasticsearch @browserbasehq/mcp @browserbasehq/mcp-server-browserbase @shopify/dev-mcp
		@neondatabase/mcp-server-neon @heroku/mcp-server @wonderwhy-er/desktop-commander task-master-ai n8n-mcp mcp-server-kubernetes
		@brave/brave-search-mcp-server @circleci/mcp-server-circleci @postman/postman-mcp-server @netlify/mcp @salesforce/mcp @auth0/auth0-mcp-server slack-mcp-server
		@21st-dev/magic @launchdarkly/mcp-server @mapbox/mcp-server @eslint/mcp @executeautomation/playwright-mcp-server @zereight/mcp-gitlab @benborla29/mcp-server-mysql
		@agentdeskai/browser-tools-mcp @apify/actors-mcp-server @gongrzhe/server-gmail-autoauth-mcp puppeteer-mcp-server @kazuph/mcp-taskmanager`),
	inventory.PyPI: strings.Fields(`
		mcp-server-fetch mcp-server-git mcp-server-time mcp-server-sqlite mcp-server-sentry postgres-mcp mcp-atlassian blender-mcp mcp-proxy fastmcp
		duckduckgo-mcp-server markitdown-mcp elevenlabs-mcp mcp-server-qdrant arxiv-mcp-server chroma-mcp basic-memory workspace-mcp snowflake-labs-mcp
		awslabs-aws-documentation-mcp-server awslabs-aws-api-mcp-server awslabs-dynamodb-mcp-server
		mcp-obsidian mcp-server-motherduck mcp-clickhouse mcp-google-sheets excel-mcp-server office-word-mcp-server browser-use`),
	inventory.OCI: strings.Fields(`
		ghcr.io/github/github-mcp-server mcp/filesystem mcp/memory mcp/fetch mcp/git mcp/time mcp/sequentialthinking mcp/everything mcp/postgres mcp/puppeteer mcp/slack
		mcp/grafana mcp/playwright mcp/notion mcp/stripe mcp/sqlite mcp/brave-search mcp/atlassian mcp/mongodb mcr.microsoft.com/playwright/mcp
		hashicorp/terraform-mcp-server ghcr.io/sooperset/mcp-atlassian mcr.microsoft.com/azure-sdk/azure-mcp`),
}
