// Shows what is in the sandbox and turns its switches. Texts of others are only ever set as text.
const EVERY = 1000; // milliseconds between two refreshes, while the page is visible
const PAGE = 30; // runs on a page
const MAX_FAULTS = 50; // that are listed

const GONE = 'The sandbox does not answer. Trying again.';

const element = (id) => document.getElementById(id);
const project = location.pathname.match(/^\/projects\/([^/]+)/)?.[1] ?? '';
const rows = new Map(); // run id -> its element
let status = '';
let cursors = ['']; // of the pages from the newest to the one that is shown
let asked = 0; // requests for a view so far
let card = null; // the last view
let etag = ''; // of it
let silence = 0; // timer that takes the message away
let offset = 0; // milliseconds by which the sandbox's clock is ahead of ours

async function call(method, path, body, headers = {}) {
  const options = { method, headers };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    headers['content-type'] = 'application/json';
  }
  const response = await fetch(`/_sandbox${path}`, options).catch(() => {
    throw new Error(GONE);
  });
  if (response.status === 304) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return { ...answer, etag: response.headers.get('etag') };
}

function say(text, milliseconds = 10_000) {
  element('message').textContent = text;
  clearTimeout(silence);
  if (milliseconds) silence = setTimeout(() => say('', 0), milliseconds);
}

function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const usd = (amount) => `$${amount.toFixed(3)}`;
const seconds = (ms) => `${Number((ms / 1000).toPrecision(3))} s`;
const when = (ms) => new Date(ms).toLocaleString();

function medium(output) {
  if (output.medium === 'text') return make('blockquote', { textContent: output.text });
  const label = `Output ${output.id}`;
  if (output.medium === 'image') return make('a', { href: output.url }, make('img', { loading: 'lazy', alt: label, src: output.url }));
  const preload = output.medium === 'video' ? 'metadata' : 'none'; // a video's first picture is its thumbnail
  return make(output.medium, { controls: true, ariaLabel: label, preload, src: output.url });
}

function create(run) {
  const item = element('run').content.cloneNode(true).querySelector('.run');
  setText(item.querySelector('.prompt'), run.prompt);
  setText(item.querySelector('.subject'), run.subject);
  setText(item.querySelector('.id code'), run.run_id);
  const link = item.querySelector('.project');
  link.href = run.project.url;
  link.hidden = project !== '';
  setText(link, `Project ${run.project.name}`);
  const created = item.querySelector('.created');
  created.dateTime = new Date(run.created_at).toISOString();
  created.textContent = when(run.created_at);
  item.querySelector('progress').setAttribute('aria-label', `Progress of ${run.run_id}`);
  item.querySelector('.id button').addEventListener('click', () => copy(run.run_id, 'Run id copied.'));
  return item;
}

function update(item, run) {
  if (item.dataset.status !== run.status) {
    item.dataset.status = run.status;
    item.querySelector('.media').replaceChildren(...run.outputs.map(medium));
    if (run.more_outputs) item.querySelector('.media').append(make('p', { textContent: `and ${run.more_outputs} more` }));
  }
  setText(item.querySelector('.status'), run.status);
  item.querySelector('progress').value = run.progress;
  if (run.completed_at) setText(item.querySelector('.took'), `, took ${seconds(run.completed_at - run.created_at)}`);
  setText(item.querySelector('.error'), [run.error_code, run.error_message].filter(Boolean).join(': '));
  setText(item.querySelector('.cost'), [`quoted ${usd(run.quote)}`, bill(run)].filter(Boolean).join(', '));
}

function bill(run) {
  if (run.status === 'failed') return 'not billed';
  if (run.charged_cost !== null) return `billed ${usd(run.charged_cost)}`;
  return run.status === 'completed' ? 'bill pending' : '';
}

function showRuns(runs) {
  const wanted = new Set(runs.map((run) => run.run_id));
  for (const [id, item] of rows) {
    if (!wanted.has(id)) {
      item.remove();
      rows.delete(id);
    }
  }
  const list = element('runs');
  runs.forEach((run, index) => {
    const item = rows.get(run.run_id) ?? create(run);
    rows.set(run.run_id, item);
    update(item, run);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}

function showTotals(stats) {
  const { completed, failed, pending, running } = stats.runs_by_status;
  const totals = {
    runs: stats.runs_started,
    waiting: pending + running,
    completed,
    failed,
    billed: usd(stats.usd_billed),
    'duplicates refused': stats.duplicates_refused,
    requests: Object.values(stats.requests).reduce((sum, count) => sum + count, 0),
    'keys leaked': Object.values(stats.keys_leaked).reduce((sum, count) => sum + count, 0),
  };
  element('totals').replaceChildren(
    ...Object.entries(totals).map(([name, value]) => make('div', {}, make('dt', { textContent: name }), make('dd', { textContent: value }))),
  );
}

function showTable(counts) {
  const sorted = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  element('requests').replaceChildren(
    ...sorted.map((pair) => make('tr', {}, ...pair.map((value) => make('td', { textContent: value })))),
  );
}

const WORDS = {
  after: () => 'after the call was carried out',
  delay: (value) => `${value} s late`,
  rate: (value) => `${value * 100} % of the calls`,
  seconds: (value) => `for ${value} s`,
  times: (value) => (value === null ? 'every call' : `${value} calls`),
};

function describe({ hits, ...fault }) {
  const plain = (name, value) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`;
  const text = Object.entries(fault).map(([name, value]) => (WORDS[name] ?? plain.bind(null, name))(value)).join(', ') || 'any call';
  return `${text.length > 200 ? `${text.slice(0, 200)}…` : text} (hit ${hits} ${hits === 1 ? 'time' : 'times'})`;
}

function showFaults(faults) {
  const lines = faults.slice(0, MAX_FAULTS).map(describe);
  if (faults.length > MAX_FAULTS) lines.push(`and ${faults.length - MAX_FAULTS} more`);
  element('faults').replaceChildren(...lines.map((line) => make('li', { textContent: line })));
}

function showKey() {
  const visible = element('show-key').getAttribute('aria-pressed') === 'true';
  setText(element('key'), visible ? card.api_key : '•'.repeat(16));
}

function showClock() {
  const now = card.is_frozen ? card.now * 1000 : Date.now() + offset;
  element('clock').dateTime = new Date(now).toISOString();
  setText(element('clock'), when(now));
}

function show(view) {
  card = view;
  etag = view.etag;
  offset = view.now * 1000 - Date.now();
  showTotals(view.stats);
  showRuns(view.runs);
  showTable(view.stats.requests);
  showFaults(view.faults);
  showKey();
  element('older').disabled = view.next_cursor === null;
  element('newer').disabled = cursors.length === 1;
  element('pages').hidden = view.next_cursor === null && cursors.length === 1;
  element('none').hidden = view.runs.length > 0 || (status === '' && cursors.length === 1);
  element('empty').hidden = view.runs.length > 0 || !element('none').hidden;
  element('frozen').hidden = !view.is_frozen;
  setText(element('freeze'), view.is_frozen ? 'Go on' : 'Stop');
  if (project) {
    const known = view.project_name !== null;
    setText(element('scope'), known ? `Project ${view.project_name} (${project})` : `This sandbox has no project ${project}.`);
    element('all').hidden = false;
  }
  setText(element('try'), view.example);
  const routes = document.querySelector('select[name="route"]');
  if (routes.options.length === 1) routes.append(...view.routes.map((route) => new Option(route, route)));
}

async function refresh() {
  asked += 1;
  const number = asked;
  const query = new URLSearchParams({ limit: PAGE, status, project_id: project, cursor: cursors.at(-1) });
  try {
    const view = await call('GET', `/view?${query}`, undefined, { 'if-none-match': etag });
    if (number !== asked) return; // another was asked for meanwhile
    if (view) show(view);
    showClock();
    if (element('message').textContent === GONE) say('');
  } catch (error) {
    say(error.message);
  }
}

function go(pages) {
  cursors = pages;
  etag = '';
  return refresh();
}

async function turn(method, path, body, done) {
  try {
    await call(method, path, body);
    say(done);
  } catch (error) {
    say(error.message);
  }
  await refresh();
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    say(done);
  } catch {
    say(`Copy it by hand: ${text}`, 0);
  }
}

for (const button of document.querySelectorAll('[data-advance]')) {
  button.addEventListener('click', () => turn('POST', '/clock', { advance: Number(button.dataset.advance) }, `The clock was moved by ${button.textContent.slice(1)}.`));
}
for (const button of document.querySelectorAll('[data-fault]')) {
  button.addEventListener('click', () => turn('POST', '/faults', JSON.parse(button.dataset.fault), `Fault added: ${button.textContent}.`));
}
for (const button of document.querySelectorAll('[data-status]')) {
  if (!button.matches('button')) continue;
  button.addEventListener('click', () => {
    status = button.dataset.status;
    for (const other of document.querySelectorAll('button[data-status]')) other.setAttribute('aria-pressed', String(other === button));
    go(['']);
  });
}
element('freeze').addEventListener('click', () => turn('POST', '/clock', { freeze: !card.is_frozen }, card.is_frozen ? 'The clock goes on.' : 'The clock stands still.'));
element('clear').addEventListener('click', () => turn('DELETE', '/faults', undefined, 'All faults cleared.'));
element('rotate').addEventListener('click', () => turn('POST', '/settings', { api_key: null }, 'The old key is refused from now on.'));
element('show-key').addEventListener('click', ({ target }) => {
  target.setAttribute('aria-pressed', String(target.getAttribute('aria-pressed') !== 'true'));
  showKey();
});
element('copy-key').addEventListener('click', () => copy(card.api_key, 'Key copied.'));
element('copy-connection').addEventListener('click', () => copy(card.connection, 'Connection copied.'));
element('older').addEventListener('click', async () => {
  await go([...cursors, card.next_cursor]);
  element('runs').focus();
});
element('newer').addEventListener('click', async () => {
  await go(cursors.slice(0, -1));
  element('runs').focus();
});
element('fault').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const what = form.get('what');
  const fault = {};
  if (/^\d+$/.test(what)) fault.status = Number(what);
  else if (what) fault.delivery = what;
  for (const name of ['delay', 'seconds']) if (form.get(name)) fault[name] = Number(form.get(name));
  if (form.get('percent')) fault.rate = Number(form.get('percent')) / 100;
  fault.times = form.get('times') ? Number(form.get('times')) : null;
  if (form.get('route')) fault.route = form.get('route');
  if (form.get('after')) fault.after = true;
  turn('POST', '/faults', fault, 'Fault added.');
});

async function keepRefreshing() {
  if (!document.hidden) await refresh();
  setTimeout(keepRefreshing, EVERY);
}
document.addEventListener('visibilitychange', () => document.hidden || refresh());
keepRefreshing();
