// Posts each of a list of {path, body} to a mock server made from PagerDuty's own OpenAPI, which refuses what that forbids.
// Answers a JSON list of {path, status, said} on standard output.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';

const [, , folder, file, openapi] = process.argv;
const require = createRequire(join(folder, 'package.json'));
const prism = join(folder, 'node_modules', '@stoplight', 'prism-cli', 'dist', 'index.js');

async function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// The mock server once it answers. Another program may take the free port first: then it ends, and another port is tried.
// A busy machine may need a minute for it; a server that runs is waited for, not given up.
async function started() {
  let said = '';
  for (let ports = 0; ports < 5; ports += 1) {
    const port = await freePort();
    const server = spawn(process.execPath, [prism, 'mock', '--errors', '--port', String(port), openapi]);
    for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (said = (said + text).slice(-4000)));
    const address = `http://127.0.0.1:${port}`;
    const patience = Date.now() + 300_000;
    while (server.exitCode === null) {
      try {
        await fetch(address);
        return { server, address };
      } catch (error) {
        if (Date.now() > patience) {
          server.kill('SIGKILL');
          throw new Error(`the mock server does not answer: ${error.cause ?? error}\n${said}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
  throw new Error(`the mock server ends at once: ${said}`);
}

const { server, address } = await started();
try {
  const answers = [];
  for (const { path, body } of JSON.parse(readFileSync(file, 'utf8'))) {
    const answer = await fetch(address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
    });
    answers.push({ path, status: answer.status, said: await answer.text() });
  }
  console.log(JSON.stringify(answers));
} finally {
  server.kill('SIGKILL');
}
