// Drives the TypeScript SDK of the initialize-based revisions, over Streamable HTTP
// or in front of a program that speaks on standard input and output.

import { load, main, sampled } from './steps.mjs';

const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
const { StdioClientTransport } = await load('@modelcontextprotocol/sdk/client/stdio.js');
const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
const { CreateMessageRequestSchema, ElicitRequestSchema, ResourceUpdatedNotificationSchema } = await load('@modelcontextprotocol/sdk/types.js');

await main(async (target, job, events) => {
  const client = new Client({ name: job.client, version: '1.0.0' }, { capabilities: { elicitation: {}, sampling: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => events.asked());
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => events.updated(params.uri));
  await client.connect(transport(target));
  return {
    list: async () => (await client.listTools()).tools,
    call: (name, given, options) => client.callTool({ name, arguments: given ?? {} }, undefined, options),
    read: uri => client.readResource({ uri }),
    subscribe: uri => client.subscribeResource({ uri }),
    close: async () => {
      if (client.transport instanceof StreamableHTTPClientTransport) await client.transport.terminateSession();
      await client.close();
    },
  };
});

function transport({ url, command }) {
  if (!command) return new StreamableHTTPClientTransport(new URL(url));
  const [program, ...args] = command;
  return new StdioClientTransport({ command: program, args, env: process.env, stderr: 'ignore' });
}
