// What the drivers of all clients written in TypeScript share: they read one JSON
// object from a line of standard input,
//
//   {"client": NAME, "era": "legacy",
//    "targets": [{"name": …, "url": … or "command": […], "steps": […]}]}
//
// go through the steps of all targets, each target over one connection and all of
// them at once, and print what came of each step:
//
//   {NAME: {OP: {"text": …} or {"error": …}}}
//
// The connections stay open until standard input ends, so that what was cancelled
// was not ended by the end of its connection.
//
// A step is {"op", "tool", "arguments", "uri", "answer", "when"}. "answer" is what
// the user fills into a form; "when": "asked" cancels a call when its server asks
// the user, without it the first progress is the time.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../../../node/package.json', import.meta.url));

/** Imports a module of a package that lies in test/node/node_modules. */
export const load = name => import(pathToFileURL(require.resolve(name)));

/** How long one step may take; what takes longer has failed. */
const stepMilliseconds = 60_000;

/** How long an update may take; one server sends one every three seconds and not
 * when it is asked to. */
const updateMilliseconds = 10_000;

/** What the model says when a server asks for it. */
export const sampled = { role: 'assistant', model: 'none', content: { type: 'text', text: 'sampled by the client' } };

/** Runs all targets. connect(target, job, events) gives a connection; events has
 * the functions that it calls: asked() for the answer to a form, updated(uri). */
export async function main(connect) {
  const lines = createInterface({ input: process.stdin });
  const ended = new Promise(resolve => lines.once('close', resolve));
  const job = JSON.parse(await new Promise(resolve => lines.once('line', resolve)));
  const results = {};
  const connections = [];
  await Promise.all(job.targets.map(async target => {
    results[target.name] = await runTarget(connect, target, job, connections);
  }));
  process.stdout.write(JSON.stringify(results) + '\n');
  await ended;
  await Promise.all(connections.map(connection => within(connection.close(), 'closing').catch(() => {})));
  process.exit(0);
}

async function runTarget(connect, target, job, connections) {
  const events = { asked: () => ({ action: 'cancel' }), updated: () => {} };
  const results = {};
  let connection;
  try {
    connection = await within(connect(target, job, events), 'connecting');
    connections.push(connection);
  } catch (error) {
    for (const { op } of target.steps) results[op] = { error: String(error?.message ?? error) };
    return results;
  }
  for (const step of target.steps) {
    try {
      results[step.op] = { text: await within(operations[step.op](connection, step, events), step.op) };
    } catch (error) {
      results[step.op] = { error: String(error?.message ?? error) };
    }
  }
  return results;
}

const operations = {
  list: async connection => (await connection.list()).map(tool => tool.name).join(' '),

  call: async (connection, { tool, arguments: given }) => textOf(await connection.call(tool, given)),

  read: async (connection, { uri }) => (await connection.read(uri)).contents.map(part => part.text).join(' '),

  subscribe: async (connection, { uri, tool, arguments: given }, events) => {
    const update = new Promise(resolve => { events.updated = resolve; });
    await connection.subscribe(uri);
    if (tool) await connection.call(tool, given);
    return `updated ${await within(update, 'waiting for an update', updateMilliseconds)}`;
  },

  elicit: async (connection, { tool, arguments: given, answer }, events) => {
    events.asked = () => ({ action: 'accept', content: answer });
    return textOf(await connection.call(tool, given));
  },

  sample: async (connection, { tool, arguments: given }) => textOf(await connection.call(tool, given)),

  cancel: async (connection, { tool, arguments: given, when }, events) => {
    const controller = new AbortController();
    const stop = () => controller.abort('enough');
    if (when === 'asked') {
      events.asked = () => new Promise(stop); // and never answers
    }
    const options = { signal: controller.signal };
    if (when !== 'asked') options.onprogress = stop;
    let answer;
    try {
      answer = textOf(await connection.call(tool, given, options));
    } catch (error) {
      if (!controller.signal.aborted) throw error;
      await connection.list(); // the connection outlives the call
      return 'cancelled';
    }
    throw new Error(`not cancelled, answered ${answer}`);
  },
};

function textOf(result) {
  const said = result.content.map(block => block.text ?? block.type).join(' ');
  if (result.isError) throw new Error(`tool error: ${said}`);
  return said;
}

function within(promise, what, milliseconds = stepMilliseconds) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end of ${what} within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
