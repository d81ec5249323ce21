// Reads a list of {headers, raw} from a file: each must be a CloudEvent for its SDK, and signed for that of Standard Webhooks.
// Answers {complaints, events} as JSON on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , folder, file, secret] = process.argv;
const require = createRequire(join(folder, 'package.json'));
const { HTTP } = require('cloudevents');
const { Webhook } = require('standardwebhooks');

const complaints = [];
const events = [];
for (const { headers, raw } of JSON.parse(readFileSync(file, 'utf8'))) {
  try {
    const event = HTTP.toEvent({ headers, body: raw });
    event.validate();
    events.push({ id: event.id, type: event.type, source: event.source, sequence: event.data?.sequence });
  } catch (error) {
    complaints.push(`cloudevents: ${error.message}`);
  }
  const webhook = new Webhook(secret);
  // Only the clock of the story differs from the clock here: the age is not what is judged.
  const now = Date.now;
  Date.now = () => Number(headers['webhook-timestamp']) * 1000;
  try {
    webhook.verify(raw, headers);
  } catch (error) {
    complaints.push(`standardwebhooks: ${error.message}`);
  }
  let altered = false;
  try {
    webhook.verify(`${raw} `, headers);
    altered = true;
  } catch {
    // As it must be.
  }
  Date.now = now;
  if (altered) complaints.push('standardwebhooks: an altered body was taken');
}
console.log(JSON.stringify({ complaints, events }));
