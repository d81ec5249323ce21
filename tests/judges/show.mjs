// A page with one card, as Teams shows it on a phone, light and dark side by side. The card is that of a snapshot of the tests.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , folder, configs, snapshot] = process.argv;
const require = createRequire(join(folder, 'package.json'));
const text = readFileSync(snapshot, 'utf8');
const body = JSON.parse(text.slice(text.indexOf('---', 4) + 3));
const card = body.attachments[0].content;
const renderer = readFileSync(require.resolve('adaptivecards/dist/adaptivecards.min.js'), 'utf8');
const config = (scheme) =>
  JSON.parse(
    readFileSync(
      join(configs, `node_modules/adaptivecards-designer/lib/hostConfigs/microsoft-teams-${scheme}.json`),
      'utf8',
    ),
  );
const safe = (value) => JSON.stringify(value).replaceAll('<', '\\u003c');
console.log(`<!doctype html><meta charset="utf-8"><style>
body{margin:0;display:flex;font-family:"Segoe UI","Liberation Sans",sans-serif;align-items:stretch}
.side{width:360px;box-sizing:border-box;padding:10px}
.card{width:340px;border-radius:6px;overflow:hidden}
.light{background:#f5f5f5}.light .card{background:#fff}
.dark{background:#1f1f1f}.dark .card{background:#2d2d2d}
.ac-pushButton{font:600 14px "Segoe UI","Liberation Sans",sans-serif;padding:6px 12px;border-radius:4px;border:1px solid #8a8886;background:transparent;color:inherit;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.dark .ac-pushButton{color:#fff}
</style><body><div class="side light"><div class="card" id="light"></div></div>
<div class="side dark"><div class="card" id="dark"></div></div>
<script>${renderer}</script><script>
const card=${safe(card)};const configs={light:${safe(config('light'))},dark:${safe(config('dark'))}};
for(const scheme of ['light','dark']){const it=new AdaptiveCards.AdaptiveCard();it.hostConfig=new AdaptiveCards.HostConfig(configs[scheme]);
it.parse(card);document.getElementById(scheme).append(it.render())}
document.documentElement.dataset.height=Math.ceil(document.body.getBoundingClientRect().height);
</script>`);
