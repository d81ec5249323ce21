// Posts each of a list of {path, body} to a mock server made from PagerDuty's own OpenAPI, which refuses what that forbids.
// Answers a JSON list of {path, status, said} on standard output.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';

const [, , folder, file, openapi] = process.argv;
const require = createRequire(join(folder, 'package.json'));
const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port: free } = probe.address();
    probe.close(() => resolve(free));
  });
});
const prism = join(folder, 'node_modules', '@stoplight', 'prism-cli', 'dist', 'index.js');
const server = spawn(process.execPath, [prism, 'mock', '--errors', '--port', String(port), openapi], { stdio: 'ignore' });
try {
  const address = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    try {
      await fetch(address);
      break;
    } catch (error) {
      if (tries > 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
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
