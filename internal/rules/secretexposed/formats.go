package secretexposed

import (
	"regexp"
	"slices"
	"sync"
)

// token is a format that is known by its first characters.
type token struct {
	kind, vendor string
	prefix       string
	alphabet     string
	min, max     int // characters after the prefix
	// shape is what the characters after the prefix look like, where an alphabet and
	// a length do not say it all.
	shape func() *regexp.Regexp
	// checksum says that a token ends with a checksum of the rest.
	checksum bool
	// digits says that a token without digits is none that the service issued.
	digits bool
}

// shape is compiled when the first text has its prefix, which for most formats is
// never.
func shape(body string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:` + body + `)$`) })
}

const uuid = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`

// tokens are the formats that services document for their credentials.
//
// The best-kept public list, the configuration of gitleaks, was measured instead of
// this table: reading its 222 rules takes 20 ms and 12 MiB before the first text, a
// megabyte and 22 modules in the program, and a third of the rules are the name of a
// service and a length, which findAssignment covers. Facts of both lists agree; a
// table of prefixes costs 4 µs for ten kilobytes.
var tokens = slices.Concat(codeHosts, chats, payments, models, clouds, offices, observers)

// codeHosts are forges, registries of packages and what builds.
var codeHosts = []token{
	{kind: "GitHub token", vendor: "github", prefix: "ghp_", alphabet: base62, min: 36, max: 36, checksum: true},
	{kind: "GitHub token", vendor: "github", prefix: "gho_", alphabet: base62, min: 36, max: 36, checksum: true},
	{kind: "GitHub token", vendor: "github", prefix: "ghu_", alphabet: base62, min: 36, max: 36, checksum: true},
	{kind: "GitHub token", vendor: "github", prefix: "ghs_", alphabet: base62, min: 36, max: 36, checksum: true},
	{kind: "GitHub token", vendor: "github", prefix: "ghr_", alphabet: base62, min: 36, max: 76},
	{kind: "GitHub fine-grained token", vendor: "github", prefix: "github_pat_", alphabet: base62 + "_", min: 82, max: 82},
	{kind: "GitLab token", vendor: "gitlab", prefix: "glpat-", alphabet: urlsafe + ".", min: 20, max: 320},
	{kind: "GitLab deploy token", vendor: "gitlab", prefix: "gldt-", alphabet: urlsafe, min: 20, max: 64},
	{kind: "GitLab runner token", vendor: "gitlab", prefix: "glrt-", alphabet: urlsafe + ".", min: 20, max: 320},
	{kind: "GitLab runner token", vendor: "gitlab", prefix: "GR1348941", alphabet: urlsafe, min: 20, max: 20},
	{kind: "GitLab trigger token", vendor: "gitlab", prefix: "glptt-", alphabet: hexa, min: 40, max: 40},
	{kind: "GitLab job token", vendor: "gitlab", prefix: "glcbt-", alphabet: urlsafe, min: 22, max: 64, shape: shape(`[0-9a-zA-Z]{1,5}_[0-9a-zA-Z_-]{20,58}`)},
	{kind: "GitLab feed token", vendor: "gitlab", prefix: "glft-", alphabet: urlsafe, min: 20, max: 64},
	{kind: "GitLab mail token", vendor: "gitlab", prefix: "glimt-", alphabet: urlsafe, min: 25, max: 64},
	{kind: "GitLab agent token", vendor: "gitlab", prefix: "glagent-", alphabet: urlsafe, min: 50, max: 64},
	{kind: "GitLab application secret", vendor: "gitlab", prefix: "gloas-", alphabet: urlsafe, min: 64, max: 64},
	{kind: "GitLab SCIM token", vendor: "gitlab", prefix: "glsoat-", alphabet: urlsafe, min: 20, max: 64},
	{kind: "Bitbucket app password", vendor: "bitbucket", prefix: "ATBB", alphabet: base62, min: 32, max: 32, digits: true},
	{kind: "Bitbucket token", vendor: "bitbucket", prefix: "ATCTT3xFf", alphabet: urlsafe + "=", min: 100, max: 300},
	{kind: "npm token", vendor: "npm", prefix: "npm_", alphabet: base62, min: 36, max: 36, checksum: true},
	{kind: "PyPI token", vendor: "pypi", prefix: "pypi-AgEIcHlwaS5vcmc", alphabet: urlsafe, min: 50, max: 1000},
	{kind: "RubyGems key", vendor: "rubygems", prefix: "rubygems_", alphabet: hexa, min: 48, max: 48},
	{kind: "Clojars token", vendor: "clojars", prefix: "CLOJARS_", alphabet: lower36, min: 60, max: 60},
	{kind: "crates.io token", vendor: "crates", prefix: "cio", alphabet: base62, min: 32, max: 32, digits: true},
	{kind: "Docker token", vendor: "docker", prefix: "dckr_pat_", alphabet: urlsafe, min: 27, max: 27},
	{kind: "Docker token", vendor: "docker", prefix: "dckr_oat_", alphabet: urlsafe, min: 32, max: 32},
	{kind: "Artifactory key", vendor: "artifactory", prefix: "AKCp", alphabet: base62, min: 69, max: 69},
	{kind: "Artifactory token", vendor: "artifactory", prefix: "cmVmd", alphabet: base62, min: 59, max: 59},
	{kind: "CircleCI token", vendor: "circleci", prefix: "CCIPAT_", alphabet: base62 + "_", min: 60, max: 70},
	{kind: "Buildkite token", vendor: "buildkite", prefix: "bkua_", alphabet: hexa, min: 40, max: 40},
	{kind: "Sourcegraph token", vendor: "sourcegraph", prefix: "sgp_", alphabet: hexa + "_local", min: 40, max: 58, shape: shape(`(?:(?:[0-9a-f]{16}|local)_)?[0-9a-f]{40}`)},
	{kind: "SonarQube token", vendor: "sonar", prefix: "squ_", alphabet: hexa, min: 40, max: 40},
	{kind: "SonarQube token", vendor: "sonar", prefix: "sqp_", alphabet: hexa, min: 40, max: 40},
	{kind: "SonarQube token", vendor: "sonar", prefix: "sqa_", alphabet: hexa, min: 40, max: 40},
	{kind: "Harness token", vendor: "harness", prefix: "pat.", alphabet: urlsafe + ".", min: 68, max: 68, shape: shape(`[\w-]{22}\.[a-zA-Z0-9]{24}\.[a-zA-Z0-9]{20}`)},
	{kind: "Octopus Deploy key", vendor: "octopus", prefix: "API-", alphabet: base32, min: 26, max: 26, digits: true},
	{kind: "Prefect token", vendor: "prefect", prefix: "pnu_", alphabet: base62, min: 36, max: 36},
	{kind: "Pulumi token", vendor: "pulumi", prefix: "pul-", alphabet: hexa, min: 40, max: 40},
	{kind: "Infracost token", vendor: "infracost", prefix: "ico-", alphabet: base62, min: 32, max: 32, digits: true},
	{kind: "Postman key", vendor: "postman", prefix: "PMAK-", alphabet: hexa + "-", min: 59, max: 59, shape: shape(`[0-9a-f]{24}-[0-9a-f]{34}`)},
}

// chats are services that carry messages and mail.
var chats = []token{
	{kind: "Slack token", vendor: "slack", prefix: "xoxb-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxp-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxa-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxr-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxs-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxe-", alphabet: urlsafe, min: 24, max: 400, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xoxe.xoxp-", alphabet: urlsafe, min: 24, max: 400, digits: true},
	{kind: "Slack token", vendor: "slack", prefix: "xapp-", alphabet: urlsafe, min: 24, max: 200, digits: true},
	{kind: "Slack webhook", vendor: "slack", prefix: "hooks.slack.com/services/", alphabet: base62 + "/", min: 40, max: 80},
	{kind: "Slack webhook", vendor: "slack", prefix: "hooks.slack.com/workflows/", alphabet: base62 + "/", min: 40, max: 120},
	{kind: "Slack webhook", vendor: "slack", prefix: "hooks.slack.com/triggers/", alphabet: base62 + "/", min: 40, max: 120},
	{kind: "Discord webhook", vendor: "discord", prefix: "discord.com/api/webhooks/", alphabet: urlsafe + "/", min: 78, max: 100, shape: shape(`\d{17,20}/[\w-]{60,72}`)},
	{kind: "Discord webhook", vendor: "discord", prefix: "discordapp.com/api/webhooks/", alphabet: urlsafe + "/", min: 78, max: 100, shape: shape(`\d{17,20}/[\w-]{60,72}`)},
	{kind: "SendGrid key", vendor: "sendgrid", prefix: "SG.", alphabet: urlsafe + ".", min: 66, max: 66},
	{kind: "Sendinblue key", vendor: "brevo", prefix: "xkeysib-", alphabet: lower36 + "-", min: 81, max: 81, shape: shape(`[0-9a-f]{64}-[0-9a-z]{16}`)},
	{kind: "Mailgun key", vendor: "mailgun", prefix: "key-", alphabet: hexa, min: 32, max: 32},
	{kind: "Resend key", vendor: "resend", prefix: "re_", alphabet: base62 + "_", min: 33, max: 33, shape: shape(`[a-zA-Z0-9]{8}_[a-zA-Z0-9]{24}`)},
	{kind: "Twilio key", vendor: "twilio", prefix: "SK", alphabet: hexa, min: 32, max: 32},
	{kind: "Facebook token", vendor: "facebook", prefix: "EAACEdEose0cBA", alphabet: base62, min: 80, max: 300},
	{kind: "Facebook token", vendor: "facebook", prefix: "EAAM", alphabet: base62, min: 100, max: 300},
	{kind: "Twitter bearer token", vendor: "twitter", prefix: "AAAAAAAAAAAAAAAAAAAAA", alphabet: base62 + "%", min: 60, max: 130, shape: shape(`A[a-zA-Z0-9]+%[a-zA-Z0-9%]+`)},
}

// payments are services that move money or goods.
var payments = []token{
	{kind: "Stripe key", vendor: "stripe", prefix: "sk_live_", alphabet: base62, min: 20, max: 247},
	{kind: "Stripe key", vendor: "stripe", prefix: "rk_live_", alphabet: base62, min: 20, max: 247},
	{kind: "Stripe test key", vendor: "stripe", prefix: "sk_test_", alphabet: base62, min: 24, max: 247},
	{kind: "Stripe test key", vendor: "stripe", prefix: "rk_test_", alphabet: base62, min: 24, max: 247},
	{kind: "Stripe webhook secret", vendor: "stripe", prefix: "whsec_", alphabet: base64s, min: 32, max: 64},
	{kind: "Square token", vendor: "square", prefix: "sq0atp-", alphabet: urlsafe, min: 22, max: 22},
	{kind: "Square secret", vendor: "square", prefix: "sq0csp-", alphabet: urlsafe, min: 43, max: 43},
	{kind: "Braintree token", vendor: "braintree", prefix: "access_token$production$", alphabet: lower36 + "$", min: 49, max: 49, shape: shape(`[0-9a-z]{16}\$[0-9a-f]{32}`)},
	{kind: "Plaid token", vendor: "plaid", prefix: "access-production-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "Razorpay key", vendor: "razorpay", prefix: "rzp_live_", alphabet: base62, min: 14, max: 14},
	{kind: "Flutterwave key", vendor: "flutterwave", prefix: "FLWSECK-", alphabet: lower36 + "-X", min: 34, max: 40, shape: shape(`[0-9a-z]{32,36}-X`)},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpat_", alphabet: anyHex, min: 32, max: 32},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpss_", alphabet: anyHex, min: 32, max: 32},
	{kind: "Shopify token", vendor: "shopify", prefix: "shpca_", alphabet: anyHex, min: 32, max: 32},
	{kind: "Shopify token", vendor: "shopify", prefix: "shppa_", alphabet: anyHex, min: 32, max: 32},
	{kind: "Shippo token", vendor: "shippo", prefix: "shippo_live_", alphabet: anyHex, min: 40, max: 40},
	{kind: "EasyPost key", vendor: "easypost", prefix: "EZAK", alphabet: base62, min: 54, max: 54},
	{kind: "Duffel token", vendor: "duffel", prefix: "duffel_live_", alphabet: urlsafe + "=", min: 43, max: 43},
}

// models are services around language models.
var models = []token{
	{kind: "Anthropic key", vendor: "anthropic", prefix: "sk-ant-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenAI key", vendor: "openai", prefix: "sk-proj-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenAI key", vendor: "openai", prefix: "sk-svcacct-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenAI key", vendor: "openai", prefix: "sk-admin-", alphabet: urlsafe, min: 40, max: 200},
	{kind: "OpenRouter key", vendor: "openrouter", prefix: "sk-or-v1-", alphabet: hexa, min: 64, max: 64},
	{kind: "Langfuse key", vendor: "langfuse", prefix: "sk-lf-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "API key", vendor: "openai", prefix: "sk-", alphabet: base62, min: 32, max: 64},
	{kind: "Hugging Face token", vendor: "huggingface", prefix: "hf_", alphabet: letters, min: 34, max: 34},
	{kind: "Hugging Face token", vendor: "huggingface", prefix: "api_org_", alphabet: letters, min: 34, max: 34},
	{kind: "Groq key", vendor: "groq", prefix: "gsk_", alphabet: base62, min: 48, max: 56},
	{kind: "Perplexity key", vendor: "perplexity", prefix: "pplx-", alphabet: base62, min: 48, max: 48},
	{kind: "Replicate token", vendor: "replicate", prefix: "r8_", alphabet: base62, min: 37, max: 37},
	{kind: "xAI key", vendor: "xai", prefix: "xai-", alphabet: base62, min: 80, max: 80},
	{kind: "NVIDIA key", vendor: "nvidia", prefix: "nvapi-", alphabet: urlsafe, min: 60, max: 72},
	{kind: "LangSmith key", vendor: "langsmith", prefix: "lsv2_pt_", alphabet: hexa + "_", min: 43, max: 43, shape: shape(`[0-9a-f]{32}_[0-9a-f]{10}`)},
	{kind: "LangSmith key", vendor: "langsmith", prefix: "lsv2_sk_", alphabet: hexa + "_", min: 43, max: 43, shape: shape(`[0-9a-f]{32}_[0-9a-f]{10}`)},
	{kind: "Pinecone key", vendor: "pinecone", prefix: "pcsk_", alphabet: base62 + "_", min: 60, max: 80},
	{kind: "Tavily key", vendor: "tavily", prefix: "tvly-", alphabet: urlsafe, min: 32, max: 48, digits: true},
	{kind: "Firecrawl key", vendor: "firecrawl", prefix: "fc-", alphabet: hexa, min: 32, max: 32},
	{kind: "E2B key", vendor: "e2b", prefix: "e2b_", alphabet: hexa, min: 40, max: 40},
}

// clouds are providers of machines, of databases and of names, and stores of secrets.
var clouds = []token{
	{kind: "Google API key", vendor: "google", prefix: "AIza", alphabet: urlsafe, min: 35, max: 35},
	{kind: "Google OAuth token", vendor: "google", prefix: "ya29.", alphabet: urlsafe, min: 40, max: 1024},
	{kind: "Google OAuth client secret", vendor: "google", prefix: "GOCSPX-", alphabet: urlsafe, min: 28, max: 28},
	{kind: "Amazon Bedrock key", vendor: "aws", prefix: "ABSK", alphabet: base64s, min: 109, max: 272},
	{kind: "Alibaba access key id", vendor: "alibaba", prefix: "LTAI", alphabet: base62, min: 20, max: 20, digits: true},
	{kind: "Yandex key", vendor: "yandex", prefix: "AQVN", alphabet: urlsafe, min: 35, max: 38},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "dop_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "doo_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "DigitalOcean token", vendor: "digitalocean", prefix: "dor_v1_", alphabet: hexa, min: 64, max: 64},
	{kind: "Heroku key", vendor: "heroku", prefix: "HRKU-AA", alphabet: urlsafe, min: 58, max: 58},
	{kind: "Fly.io token", vendor: "fly", prefix: "fo1_", alphabet: urlsafe, min: 43, max: 43},
	{kind: "Fly.io token", vendor: "fly", prefix: "fm2_", alphabet: base64s, min: 100, max: 1000},
	{kind: "Fly.io token", vendor: "fly", prefix: "fm1r_", alphabet: base64s, min: 100, max: 1000},
	{kind: "Render key", vendor: "render", prefix: "rnd_", alphabet: base62, min: 28, max: 36, digits: true},
	{kind: "Netlify token", vendor: "netlify", prefix: "nfp_", alphabet: base62, min: 36, max: 40},
	{kind: "Vercel key", vendor: "vercel", prefix: "vck_", alphabet: base62, min: 40, max: 64},
	{kind: "Vercel token", vendor: "vercel", prefix: "vcp_", alphabet: base62, min: 40, max: 64},
	{kind: "Cloudflare origin key", vendor: "cloudflare", prefix: "v1.0-", alphabet: hexa + "-", min: 171, max: 171, shape: shape(`[0-9a-f]{24}-[0-9a-f]{146}`)},
	{kind: "Scalingo token", vendor: "scalingo", prefix: "tk-us-", alphabet: urlsafe, min: 48, max: 48},
	{kind: "Tailscale key", vendor: "tailscale", prefix: "tskey-", alphabet: urlsafe, min: 30, max: 80, shape: shape(`(?:auth|api|client|scim|webhook)-[0-9a-zA-Z]{8,}-[0-9a-zA-Z]{16,}`)},
	{kind: "Supabase token", vendor: "supabase", prefix: "sbp_", alphabet: hexa, min: 40, max: 40},
	{kind: "Supabase secret key", vendor: "supabase", prefix: "sb_secret_", alphabet: urlsafe, min: 31, max: 48},
	{kind: "PlanetScale token", vendor: "planetscale", prefix: "pscale_tkn_", alphabet: urlsafe + ".=", min: 32, max: 64},
	{kind: "PlanetScale token", vendor: "planetscale", prefix: "pscale_oauth_", alphabet: urlsafe + ".=", min: 32, max: 64},
	{kind: "PlanetScale password", vendor: "planetscale", prefix: "pscale_pw_", alphabet: urlsafe + ".=", min: 32, max: 64},
	{kind: "Neon key", vendor: "neon", prefix: "napi_", alphabet: base62, min: 64, max: 64},
	{kind: "MongoDB Atlas secret", vendor: "mongodb", prefix: "mdb_sa_sk_", alphabet: urlsafe, min: 40, max: 48},
	{kind: "ClickHouse key", vendor: "clickhouse", prefix: "4b1d", alphabet: base62, min: 38, max: 38},
	{kind: "Databricks token", vendor: "databricks", prefix: "dapi", alphabet: hexa + "-", min: 32, max: 34, shape: shape(`[0-9a-f]{32}(?:-\d)?`)},
	{kind: "OpenShift token", vendor: "openshift", prefix: "sha256~", alphabet: urlsafe, min: 43, max: 43},
	{kind: "Vault token", vendor: "vault", prefix: "hvs.", alphabet: urlsafe, min: 24, max: 200},
	{kind: "Vault batch token", vendor: "vault", prefix: "hvb.", alphabet: urlsafe, min: 100, max: 400},
	{kind: "Vault recovery token", vendor: "vault", prefix: "hvr.", alphabet: urlsafe, min: 24, max: 200},
	{kind: "Doppler token", vendor: "doppler", prefix: "dp.pt.", alphabet: base62, min: 40, max: 44},
	{kind: "Doppler token", vendor: "doppler", prefix: "dp.st.", alphabet: base62 + "._-", min: 40, max: 80},
	{kind: "Doppler token", vendor: "doppler", prefix: "dp.ct.", alphabet: base62, min: 40, max: 44},
	{kind: "Doppler token", vendor: "doppler", prefix: "dp.sa.", alphabet: base62, min: 40, max: 44},
	{kind: "1Password token", vendor: "1password", prefix: "ops_eyJ", alphabet: base64s, min: 250, max: 1500},
	{kind: "1Password secret key", vendor: "1password", prefix: "A3-", alphabet: base32 + "-", min: 36, max: 37, shape: shape(`[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}`)},
	{kind: "age secret key", prefix: "AGE-SECRET-KEY-1", alphabet: upper + digits, min: 58, max: 58},
}

// offices are services for documents, plans and customers.
var offices = []token{
	{kind: "Notion token", vendor: "notion", prefix: "ntn_", alphabet: base62, min: 40, max: 60},
	{kind: "Notion token", vendor: "notion", prefix: "secret_", alphabet: base62, min: 43, max: 43, digits: true},
	{kind: "Linear key", vendor: "linear", prefix: "lin_api_", alphabet: base62, min: 40, max: 40},
	{kind: "Linear token", vendor: "linear", prefix: "lin_oauth_", alphabet: hexa, min: 64, max: 64},
	{kind: "Atlassian token", vendor: "atlassian", prefix: "ATATT3xFf", alphabet: urlsafe + "=", min: 100, max: 300},
	{kind: "Trello token", vendor: "trello", prefix: "ATTA", alphabet: anyHex, min: 64, max: 76},
	{kind: "Figma token", vendor: "figma", prefix: "figd_", alphabet: urlsafe, min: 36, max: 64},
	{kind: "HubSpot token", vendor: "hubspot", prefix: "pat-na1-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "HubSpot token", vendor: "hubspot", prefix: "pat-eu1-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "Typeform token", vendor: "typeform", prefix: "tfp_", alphabet: urlsafe + ".=", min: 40, max: 64},
	{kind: "Contentful token", vendor: "contentful", prefix: "CFPAT-", alphabet: urlsafe, min: 43, max: 43},
	{kind: "Frame.io token", vendor: "frame", prefix: "fio-u-", alphabet: urlsafe + "=", min: 64, max: 64},
	{kind: "Dropbox token", vendor: "dropbox", prefix: "sl.", alphabet: urlsafe + "=", min: 130, max: 1400},
	{kind: "Adobe secret", vendor: "adobe", prefix: "p8e-", alphabet: lower36, min: 32, max: 32, digits: true},
	{kind: "ReadMe key", vendor: "readme", prefix: "rdme_", alphabet: lower36, min: 70, max: 70},
	{kind: "Mapbox token", vendor: "mapbox", prefix: "sk.eyJ", alphabet: urlsafe + ".", min: 60, max: 200, shape: shape(`[\w-]{40,}\.[\w-]{20,24}`)},
}

// observers are services that watch others.
var observers = []token{
	{kind: "Grafana token", vendor: "grafana", prefix: "glsa_", alphabet: base62 + "_", min: 41, max: 41},
	{kind: "Grafana Cloud token", vendor: "grafana", prefix: "glc_", alphabet: base64s, min: 32, max: 400, digits: true},
	{kind: "Sentry token", vendor: "sentry", prefix: "sntryu_", alphabet: hexa, min: 64, max: 64},
	{kind: "Sentry token", vendor: "sentry", prefix: "sntrys_", alphabet: base64s + "_-", min: 60, max: 500},
	{kind: "New Relic key", vendor: "newrelic", prefix: "NRAK-", alphabet: base32, min: 27, max: 27},
	{kind: "New Relic key", vendor: "newrelic", prefix: "NRII-", alphabet: urlsafe, min: 32, max: 32},
	{kind: "Dynatrace token", vendor: "dynatrace", prefix: "dt0c01.", alphabet: base32 + ".", min: 89, max: 89, shape: shape(`[A-Z0-9]{24}\.[A-Z0-9]{64}`)},
	{kind: "PostHog key", vendor: "posthog", prefix: "phx_", alphabet: base62, min: 40, max: 64},
	{kind: "Honeycomb key", vendor: "honeycomb", prefix: "hcaik_", alphabet: base32 + "abcdefghijklmnopqrstuvwxyz", min: 58, max: 58},
	{kind: "LaunchDarkly key", vendor: "launchdarkly", prefix: "api-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "LaunchDarkly key", vendor: "launchdarkly", prefix: "sdk-", alphabet: hexa + "-", min: 36, max: 36, shape: shape(uuid)},
	{kind: "Snyk token", vendor: "snyk", prefix: "snyk_", alphabet: urlsafe + ".", min: 40, max: 100, digits: true},
}
