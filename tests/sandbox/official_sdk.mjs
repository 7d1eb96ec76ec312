// What FLORA's official SDK does against the sandbox. Prints one JSON object.
import { writeFile } from 'node:fs/promises';
import FLORA from '@flora-ai/flora';

const { WORKSPACE_ID: workspace_id, PROJECT_ID: project_id } = process.env;
const flora = new FLORA(); // FLORA_API_KEY and FLORA_BASE_URL
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
const seen = {};

const started = [];
for (const type of ['image', 'video', 'audio', 'text']) {
  const { run_id } = await flora.generations.create({ type, prompt: 'A fox', workspace_id, project_id });
  started.push(run_id);
}
seen.types = [];
for (const run_id of started) {
  let run;
  while ((run = await flora.generations.retrieve(run_id)).status !== 'completed') await pause();
  seen.types.push(run.outputs[0].type);
}

const listed = [];
for await (const row of flora.generations.list({ project_id, limit: 3 })) listed.push(row.run_id);
seen.paged = JSON.stringify(listed) === JSON.stringify(started.reverse());

const technique = await flora.techniques.runs.create('storyboard', {
  inputs: [{ id: 'instructions', type: 'text', value: 'Go' }],
  mode: 'async',
});
const polled = await flora.techniques.runs.retrieve(technique.run_id, { techniqueId: 'storyboard' });
seen.technique = polled.run_id === technique.run_id;
const action = await flora.actions.run({
  action_id: 'qr-code-generator-browser',
  workspace_id,
  project_id,
  inputs: [{ type: 'text', text: 'https://flora.ai' }],
});
seen.action = action.type;

await writeFile('small.png', Buffer.alloc(1024, 1));
await writeFile('large.png', Buffer.alloc(5 * 1024 * 1024, 2));
seen.uploads = [];
for (const source of ['small.png', './large.png', 'https://example.com/cat.png']) {
  const asset = await flora.assets.upload(source, { workspace_id });
  seen.uploads.push([asset.uploaded_via, asset.status, asset.size_bytes > 0]);
}

const header = { headers: { 'Idempotency-Key': 'k' }, maxRetries: 0 };
const body = { type: 'image', prompt: 'Once', workspace_id, project_id };
await flora.generations.create(body, header);
seen.duplicate = await flora.generations.create(body, header).catch((error) => [error.status, error.error.error.code]);
seen.refused = await flora.generations.create({ ...body, type: 't2i' }).catch((error) => error.constructor.name);
seen.models = (await flora.models.list()).models.length > 0;
seen.workspace = (await flora.workspaces.list()).workspaces[0].workspace_id === workspace_id;
console.log(JSON.stringify(seen));
