// Drives the TypeScript SDK of both eras over Streamable HTTP.

import { load, main, sampled } from './steps.mjs';

const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');

const modes = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } };

await main(async (target, job, events) => {
  const client = new Client({ name: job.client, version: '1.0.0' }, {
    capabilities: { elicitation: {}, sampling: {} }, versionNegotiation: { mode: modes[job.era] },
  });
  client.setRequestHandler('elicitation/create', () => events.asked());
  client.setRequestHandler('sampling/createMessage', () => sampled);
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => events.updated(params.uri));
  await client.connect(new StreamableHTTPClientTransport(new URL(target.url)));
  return {
    list: async () => (await client.listTools()).tools,
    call: (name, given, options) => client.callTool({ name, arguments: given ?? {} }, options),
    read: uri => client.readResource({ uri }),
    subscribe: uri => client.listen({ resourceSubscriptions: [uri] }),
    close: () => client.close(),
  };
});
