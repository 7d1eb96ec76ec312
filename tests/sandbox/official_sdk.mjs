// What FLORA's official SDK does against the sandbox. Prints one JSON object.
import { createServer } from 'node:http';
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

// The operations that are left.
await flora.runs.startGeneration(body);
const { techniques } = await flora.techniques.list({ query: 'storyboard' });
const { technique_id } = techniques[0];
await flora.techniques.retrieve('storyboard');
await flora.runs.startTechnique({ technique_id, workspace_id, inputs: { instructions: 'Go' } });
seen.technique_runs = (await flora.techniques.runs.list({ project_id })).technique_runs.length;
seen.actions = (await flora.actions.list()).actions.length;
await flora.actions.retrieve('ken-burns-video');
await flora.feedback.record({ kind: 'bug', summary: 'A bug', detail: 'None' });

const made = await flora.projects.create({ workspace_id, name: 'Ferns' });
seen.project = (await flora.projects.retrieve(made.project_id)).name;
await flora.projects.list({ workspace_id });
await flora.workspaces.projects.create(workspace_id, { name: 'Mosses' });
await flora.workspaces.folders.createProject(process.env.FOLDER_ID, { workspaceId: workspace_id, name: 'Foldered' });

const reserved = await flora.assets.create({ source: 'signed-url', workspace_id });
await fetch(process.env.SANDBOX_URL + '/_sandbox/clock', { method: 'POST', body: '{"advance": 4000}' });
seen.expired = (await flora.assets.retrieve(reserved.asset_id)).status;
seen.retried = (await flora.assets.retry(reserved.asset_id)).status;
const { assets } = await flora.assets.list({ workspace_id });
const ready = assets.find((asset) => asset.status === 'ready');
await flora.projects.assets.attachAsset(ready.asset_id, { projectId: project_id });
seen.nodes = (await flora.projects.listNodes(project_id)).nodes[0].asset_id === ready.asset_id;

seen.drawn = (await flora.projects.canvas.update(project_id, { diagram: 'flowchart LR\n a --> b' })).created_edge_count;
seen.canvas = (await flora.projects.canvas.retrieve(project_id)).summary.node_count;
const node = await flora.projects.actions.create(project_id, { action_id: 'qr-code-generator-browser' });
const scope = { workspaceId: workspace_id };
const change = await flora.workspaces.projects.canvas.applyChangeset(project_id, {
  ...scope,
  add: [{ ref: 'fern', type: 'image', prompt: 'A fern', model: 't2i-flux-2-pro' }],
  connect: [{ from: 'n2', to: node.node_id }],
});
seen.changed = [change.applied.added, change.applied.connected];
seen.revision = (await flora.workspaces.projects.graph(project_id, scope)).revision === change.revision;
seen.action_node = (await flora.projects.actions.run(node.node_id, { projectId: project_id })).type;
const ran = await flora.workspaces.projects.runNodes(project_id, { ...scope, node_ids: [change.created.fern.node_id] });
seen.ran = ran.runs[0].status;
const { definition } = await flora.workspaces.projects.canvas.retrieveDefinition(project_id, scope);
const put = await flora.workspaces.projects.canvas.replaceDefinition(project_id, { ...scope, definition });
seen.replaced = JSON.stringify(put.definition) === JSON.stringify(definition);

const { folder_id } = await flora.workspaces.library.folders.create(workspace_id, { name: 'Kept' });
const item = await flora.workspaces.library.folders.addItem(folder_id, { ...scope, type: 'text', text: 'A fern' });
seen.item = item.folder_id === folder_id;
seen.deleted = (await flora.workspaces.library.folders.delete(folder_id, scope)).deleted;

// A webhook, and one under another secret.
const received = [];
const receiver = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  received.push([Buffer.concat(chunks), request.headers]);
  response.writeHead(204).end();
});
await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve));
const callback_url = `http://127.0.0.1:${receiver.address().port}/`;
const called = await flora.generations.create({ ...body, prompt: 'Call me', callback_url });
while (!received.length) await pause();
receiver.close();
const unwrap = (secret) => flora.webhooks.unwrap(...received[0], secret);
const event = await unwrap(process.env.FLORA_WEBHOOK_SECRET);
seen.webhook = [event.type, event.data.run_id === called.run_id];
seen.forged = await unwrap('whsec_other').catch((error) => error instanceof Error);
console.log(JSON.stringify(seen));
