// Tries one way out of a sandbox, in JavaScript, and says what came of it.
import fs from "node:fs";
import dgram from "node:dgram";
import dns from "node:dns/promises";
import net from "node:net";
import { spawn, spawnSync } from "node:child_process";

const env = process.env;

function read(path) {
  if (fs.readFileSync(path).length === 0) throw new Error("it is empty");
}

function link(make) {
  const path = env.GRANTED + "/js-link";
  fs.rmSync(path, { force: true });
  make(env.SECRET, path);
  read(path);
}

const later = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// hold keeps what was taken for as long as an attack would last.
const hold = () => later(1000);

function place(name) {
  const colon = env[name].lastIndexOf(":");
  return { host: env[name].slice(0, colon).replace(/[[\]]/g, ""), port: Number(env[name].slice(colon + 1)) };
}

// connect waits for a byte: who accepts may be somebody on the way.
function connect(where) {
  return new Promise((worked, refused) => {
    const socket = net.connect(where);
    socket.setTimeout(1000, () => socket.destroy(new Error("nobody answers")));
    socket.on("data", () => {
      worked();
      socket.destroy();
    });
    socket.on("error", refused);
    socket.on("close", () => refused(new Error("it was closed")));
  });
}

function send(name) {
  const { host, port } = place(name);
  return new Promise((worked, refused) => {
    const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
    const timer = setTimeout(() => finish(refused, new Error("nobody answers")), 1000);
    let over = false;
    const finish = (how, why) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      socket.close();
      how(why);
    };
    socket.on("error", (e) => finish(refused, e));
    socket.on("message", () => finish(worked));
    // Connected, so that it is told that nobody listens.
    socket.connect(port, host, (e) => (e ? finish(refused, e) : socket.send("x", (e) => e && finish(refused, e))));
  });
}

async function forkBomb() {
  const children = [];
  try {
    for (let i = 0; i < Number(env.BOMB_PROCESSES); i++) {
      const child = spawn(env.LISTED, ["sleep"], { stdio: "ignore" });
      await new Promise((worked, refused) => {
        child.on("spawn", worked);
        child.on("error", refused);
      });
      children.push(child);
    }
  } catch (e) {
    await hold();
    throw e;
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

async function memoryBombMany() {
  const parts = 8;
  const children = [];
  const holding = [];
  for (let i = 0; i < parts; i++) {
    const child = spawn(env.LISTED, ["eat", String(Math.floor(Number(env.BOMB_BYTES) / parts))], { stdio: ["ignore", "pipe", "ignore"] });
    children.push(child);
    holding.push(
      new Promise((worked, refused) => {
        child.on("error", refused);
        child.on("close", () => refused(new Error("one of them was ended")));
        child.stdout.on("data", (text) => (String(text) === "<nil>\n" ? worked() : refused(new Error(String(text)))));
      }),
    );
  }
  try {
    await Promise.all(holding); // each says when it has had its part for a second
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
}

async function memoryBomb() {
  const all = [];
  for (let left = Number(env.BOMB_BYTES); left > 0; left -= 16 << 20) all.push(Buffer.alloc(16 << 20, 1));
  await new Promise((done) => setTimeout(done, 1000));
  if (all.length === 0) throw new Error("nothing was taken");
}

async function diskFill() {
  const made = [];
  try {
    for (let left = Number(env.BOMB_BYTES); left > 0; left -= 8 << 20) {
      const path = `/tmp/js-fill-${process.pid}-${left}`;
      made.push(path);
      fs.writeFileSync(path, Buffer.alloc(8 << 20, 1));
    }
  } catch (e) {
    await hold();
    throw e;
  } finally {
    for (const path of made) fs.rmSync(path, { force: true });
  }
}

function largeFile() {
  const path = env.GRANTED + "/js-large";
  fs.writeFileSync(path, "");
  try {
    fs.truncateSync(path, 64 << 20);
  } finally {
    fs.rmSync(path);
  }
}

async function manyFiles() {
  const folder = fs.mkdtempSync("/tmp/many");
  try {
    for (let i = 0; i < Number(env.MANY_FILES); i++) fs.writeFileSync(`${folder}/${i}`, "");
  } catch (e) {
    await hold();
    throw e;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

async function openFiles() {
  try {
    for (let i = 0; i < 600; i++) fs.openSync("/dev/null");
  } catch (e) {
    await hold();
    throw e;
  }
}

function run(program, ...args) {
  const { status, error, stdout } = spawnSync(program, args);
  if (error || status !== 0) throw error ?? new Error("status " + status);
  return String(stdout).trim();
}

const parent = (name) => `/proc/${process.ppid}/${name}`;

const attacks = {
  "read-secret": () => read(env.SECRET),
  "list-outside": () => fs.statSync(env.OUTSIDE + "/there"),
  "write-outside": () => fs.writeFileSync(env.OUTSIDE + "/js-written", "attack"),
  "write-program": () => fs.closeSync(fs.openSync(env.OTHER, "a")),
  symlink: () => link(fs.symlinkSync),
  hardlink: () => link(fs.linkSync),
  dotdot: () => read(env.GRANTED + "/../home/.ssh/id_test"),
  "rename-out": () => {
    fs.writeFileSync(env.GRANTED + "/js-carried", "attack");
    fs.renameSync(env.GRANTED + "/js-carried", env.OUTSIDE + "/js-carried");
  },
  "proc-root": () => read(parent("root") + env.SECRET),
  "proc-cwd": () => fs.readdirSync(parent("cwd")),
  "proc-environ": () => read(parent("environ")),
  "proc-mem": () => fs.closeSync(fs.openSync(parent("mem"))),
  "proc-fd": () => fs.readdirSync(parent("fd")),
  "setuid-program": () => {
    const user = run(env.SETUID, "whoami");
    if (user !== "0") throw new Error("it runs as user " + user);
  },
  "setuid-bit": () => {
    fs.writeFileSync(env.GRANTED + "/js-bit", "");
    fs.chmodSync(env.GRANTED + "/js-bit", 0o4755);
  },
  "setuid-create": () => {
    fs.rmSync(env.GRANTED + "/js-created", { force: true });
    fs.closeSync(fs.openSync(env.GRANTED + "/js-created", "w", 0o4755));
  },
  setuid: () => process.setuid(0),
  setgroups: () => process.setgroups([0]),
  "signal-parent": () => process.kill(process.ppid, 0),
  "abstract-socket": () => connect({ path: "\0" + env.ABSTRACT }),
  "unix-socket": () => connect({ path: env.SOCKET }),
  "direct-ip": () => connect(place("LISTENER")),
  "direct-ip-v6": () => connect(place("LISTENER6")),
  "mapped-v6": () => connect({ host: "::ffff:" + place("LISTENER").host, port: place("LISTENER").port }),
  "other-machine": () => connect(place("ELSEWHERE")),
  connect: () => connect(place("PLACE")),
  send: () => send("PLACE"),
  resolve: () => dns.lookup(env.PLACE),
  "direct-udp": () => send("UDP"),
  "run-unlisted": () => run(env.UNLISTED, "whoami"),
  "fork-bomb": forkBomb,
  "memory-bomb": memoryBomb,
  "memory-bomb-many": memoryBombMany,
  "disk-fill": diskFill,
  "large-file": largeFile,
  "many-files": manyFiles,
  "open-files": openFiles,
  "inherited-file": () => {
    if (!fs.readlinkSync("/proc/self/fd/" + env.LEAKED).endsWith("id_test")) throw new Error("it is something else");
  },
};

for (const name of process.argv.slice(2)) {
  process.stdout.write(`trying ${name}\n`);
  try {
    await attacks[name]();
    console.log("worked");
  } catch (e) {
    console.log("refused:", String(e));
  }
}
