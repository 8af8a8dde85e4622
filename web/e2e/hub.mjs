// A hub of its own for the tests: the real program on free ports, with a data directory that goes with it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LINK = /http:\/\/\S+\/welcome\?link=\S+/;

/** Starts `springhouse <verb>` and returns once it has printed its link. */
export async function startHub(verb) {
  const program = process.env.SPRINGHOUSE_BIN;
  if (!program) throw new Error("SPRINGHOUSE_BIN is not set; hint: scripts/web.sh e2e sets it");
  const data = await mkdtemp(join(tmpdir(), "springhouse-page-"));
  const startedAt = performance.now();
  const child = spawn(program, [verb, "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const link = await printedLink(child);
  return {
    link,
    url: new URL(link).origin,
    startedAt,
    async stop() {
      if (child.exitCode === null) {
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      await rm(data, { recursive: true });
      return child.exitCode;
    },
  };
}

function printedLink(child) {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (bytes) => {
      said += bytes;
      const link = LINK.exec(said)?.[0];
      if (link) resolve(link);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the hub ended with ${code} before it printed a link:\n${said}`)));
  });
}
