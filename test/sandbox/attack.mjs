// Tries one way out of a sandbox, in JavaScript, and says what came of it.
import fs from "node:fs";
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

function connect(where) {
  return new Promise((worked, refused) => {
    const socket = net.connect(where, () => {
      socket.destroy();
      worked();
    });
    socket.on("error", refused);
  });
}

async function forkBomb() {
  const children = [];
  try {
    for (let i = 0; i < Number(env.BOMB_PROCESSES); i++) {
      const child = spawn(env.LISTED, ["sleep"], { stdio: "ignore" });
      children.push(child);
      await new Promise((worked, refused) => {
        child.on("spawn", worked);
        child.on("error", refused);
      });
    }
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

function diskFill() {
  const made = [];
  try {
    for (let left = Number(env.BOMB_BYTES); left > 0; left -= 8 << 20) {
      const path = `/tmp/js-fill-${process.pid}-${left}`;
      made.push(path);
      fs.writeFileSync(path, Buffer.alloc(8 << 20, 1));
    }
  } finally {
    for (const path of made) fs.rmSync(path, { force: true });
  }
}

const attacks = {
  "read-secret": () => read(env.SECRET),
  "write-outside": () => fs.writeFileSync(env.OUTSIDE + "/js-written", "attack"),
  symlink: () => link(fs.symlinkSync),
  hardlink: () => link(fs.linkSync),
  "proc-root": () => read(`/proc/${process.ppid}/root${env.SECRET}`),
  "proc-environ": () => read(`/proc/${process.ppid}/environ`),
  "setuid-bit": () => {
    fs.writeFileSync(env.GRANTED + "/js-bit", "");
    fs.chmodSync(env.GRANTED + "/js-bit", 0o4755);
  },
  "signal-parent": () => process.kill(process.ppid, 0),
  "direct-ip": () => connect({ host: env.LISTENER.split(":")[0], port: Number(env.LISTENER.split(":")[1]) }),
  "run-unlisted": () => {
    const { status, error } = spawnSync(env.UNLISTED, ["whoami"]);
    if (error || status !== 0) throw error ?? new Error("status " + status);
  },
  "fork-bomb": forkBomb,
  "memory-bomb": memoryBomb,
  "disk-fill": diskFill,
};

const name = process.argv[2];
process.stdout.write(`trying ${name}\n`);
try {
  await attacks[name]();
  console.log("worked");
} catch (e) {
  console.log("refused:", String(e));
}
