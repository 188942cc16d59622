// A smuggling target built on the official TypeScript SDK: the same two tools as
// its Go siblings, over stdio or, with "-http ADDRESS", over Streamable HTTP.
// The SDK is found in test/node/node_modules, wherever this file is started from.

import { randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../node/package.json', import.meta.url));
const sdk = path => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));

const { Server } = await sdk('server/index.js');
const { StdioServerTransport } = await sdk('server/stdio.js');
const { StreamableHTTPServerTransport } = await sdk('server/streamableHttp.js');
const { CallToolRequestSchema, ListToolsRequestSchema } = await sdk('types.js');

const inputSchema = { type: 'object', properties: { note: { type: 'string' } }, required: ['note'] };

const tools = {
  read_note: {
    description: 'Returns the text of a note.',
    run: ({ note }) => `note ${note}: buy milk`,
  },
  delete_note: {
    description: 'Deletes a note for good.',
    run: ({ note }) => {
      appendFileSync(process.env.SMUGGLE_LOG, `delete_note ${note}\n`, { mode: 0o600 });
      return `deleted ${note}`;
    },
  },
};

function newServer() {
  const server = new Server({ name: 'smuggle-ts', version: '1.0.0' }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: Object.entries(tools).map(([name, { description }]) => ({ name, description, inputSchema })),
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    const tool = Object.hasOwn(tools, params.name) ? tools[params.name] : undefined;
    if (!tool) {
      throw new Error(`no tool ${params.name}`);
    }
    return { content: [{ type: 'text', text: tool.run(params.arguments ?? {}) }] };
  });
  return server;
}

// One transport for each session, as the SDK wants it. The body is left for the
// SDK to read, so that its own decoder is what a test meets.
function serveHTTP(address) {
  const sessions = new Map();
  const listener = createServer(async (request, response) => {
    const known = sessions.get(request.headers['mcp-session-id']);
    if (known) {
      return known.handleRequest(request, response);
    }
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: id => sessions.set(id, transport),
      onsessionclosed: id => sessions.delete(id),
    });
    await newServer().connect(transport);
    return transport.handleRequest(request, response);
  });
  const split = address.lastIndexOf(':');
  listener.listen(Number(address.slice(split + 1)), address.slice(0, split), () => {
    const { address: host, port } = listener.address();
    process.stderr.write(`listening on http://${host}:${port}/mcp\n`);
  });
}

const flag = process.argv.findIndex(argument => argument === '-http' || argument === '--http');
if (flag > 0) {
  serveHTTP(process.argv[flag + 1]);
} else {
  await newServer().connect(new StdioServerTransport());
}
