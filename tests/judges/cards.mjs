// Reads a list of {name, body} from a file and says what is wrong with each card, by the published schema and by Microsoft's
// own parser. Answers a JSON list of complaints on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import vm from 'node:vm';

const [, , folder, file] = process.argv;
const require = createRequire(join(folder, 'package.json'));
const Ajv = require('ajv').default ?? require('ajv');
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addMetaSchema(require('ajv/dist/refs/json-schema-draft-06.json'));
const schemas = join(folder, 'python', 'lib');
const { readdirSync } = await import('node:fs');
const python = readdirSync(schemas).find((name) => name.startsWith('python3'));
const schema = JSON.parse(
  readFileSync(join(schemas, python, 'site-packages', 'adaptive_cards', 'schemas', 'schema-1.5.json'), 'utf8'),
);
delete schema.id;
const fits = ajv.compile({ ...schema, $ref: '#/definitions/AdaptiveCard' });

// The package is made for browsers: its bundle is run in a room of its own.
const room = { window: {}, document: { createElement: () => ({ style: {} }) }, console };
room.self = room.window;
vm.createContext(room);
vm.runInContext(readFileSync(require.resolve('adaptivecards/dist/adaptivecards.js'), 'utf8'), room);
const { AdaptiveCard, SerializationContext, Versions } = room.AdaptiveCards ?? room.window.AdaptiveCards ?? room.self.AdaptiveCards;

const complaints = [];
for (const { name, body } of JSON.parse(readFileSync(file, 'utf8'))) {
  const complain = (judge, what) => complaints.push(`${name}: ${judge}: ${what}`);
  if (body.attachments?.length !== 1) complain('envelope', 'there is not exactly one attachment');
  const { msteams, ...card } = body.attachments[0].content;
  if (!msteams) complain('envelope', 'no msteams');
  if (!fits(card)) for (const error of fits.errors.slice(0, 5)) complain('schema', `${error.instancePath} ${error.message}`);
  const context = new SerializationContext(Versions.v1_5);
  const parsed = new AdaptiveCard();
  parsed.parse(card, context);
  for (let at = 0; at < context.eventCount; at += 1) complain('adaptivecards', context.getEventAt(at).message);
  for (const event of parsed.validateProperties().validationEvents) complain('adaptivecards', event.message);
}
console.log(JSON.stringify(complaints));
