// Shows what is in the sandbox and turns its switches. Texts of others are only ever set as text.
const EVERY = 1000; // milliseconds between two looks, while the page is visible
const PAGE = 30; // runs that are shown at first, and that are added by "Show more"

const element = (id) => document.getElementById(id);
const project = location.pathname.match(/^\/projects\/([^/]+)/)?.[1] ?? '';
const rows = new Map(); // run id -> its element
let status = '';
let limit = PAGE;
let card = null; // key, connection and what else the last answer said

async function call(method, path, body) {
  const response = await fetch(`/_sandbox${path}`, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

function say(text) {
  element('message').textContent = text;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const usd = (amount) => `$${amount.toFixed(3)}`;
const when = (ms) => new Date(ms).toLocaleString();

function medium(output) {
  if (output.type === 'text') {
    const quote = document.createElement('blockquote');
    quote.textContent = output.url;
    return quote;
  }
  const [kind] = output.type.split('Url');
  const tag = { image: 'img', video: 'video', audio: 'audio' }[kind];
  const node = document.createElement(tag ?? 'a');
  if (tag === undefined) {
    node.href = output.url;
    node.textContent = output.output_id;
    return node;
  }
  node.src = output.url;
  if (tag === 'img') {
    node.loading = 'lazy';
    node.alt = output.output_id;
    const link = document.createElement('a');
    link.href = output.url;
    link.append(node);
    return link;
  }
  node.controls = true;
  node.preload = 'none';
  node.setAttribute('aria-label', output.output_id);
  return node;
}

function create(run) {
  const item = element('run').content.cloneNode(true).querySelector('.run');
  setText(item.querySelector('.prompt'), run.prompt);
  setText(item.querySelector('.subject'), run.subject);
  setText(item.querySelector('.id code'), run.run_id);
  const created = item.querySelector('.created');
  created.dateTime = new Date(run.created_at).toISOString();
  created.textContent = when(run.created_at);
  item.querySelector('.id button').addEventListener('click', () => copy(run.run_id, 'Run id copied.'));
  return item;
}

function update(item, run) {
  if (item.dataset.status !== run.status) {
    item.dataset.status = run.status;
    item.querySelector('.media').replaceChildren(...run.outputs.map(medium));
  }
  setText(item.querySelector('.status'), run.status);
  const progress = item.querySelector('progress');
  progress.value = run.progress;
  progress.setAttribute('aria-label', `Progress of ${run.run_id}`);
  setText(item.querySelector('.error'), [run.error_code, run.error_message].filter(Boolean).join(': '));
  const bill = run.status === 'failed' ? 'not billed' : run.charged_cost === null ? 'bill pending' : `billed ${usd(run.charged_cost)}`;
  setText(item.querySelector('.cost'), `quoted ${usd(run.quote)}, ${bill}`);
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
    requests: Object.values(stats.requests).reduce((sum, count) => sum + count, 0),
    'keys leaked': Object.values(stats.keys_leaked).reduce((sum, count) => sum + count, 0),
  };
  const list = element('totals');
  if (list.children.length === 0) {
    for (const name of Object.keys(totals)) {
      const pair = document.createElement('div');
      pair.append(Object.assign(document.createElement('dt'), { textContent: name }), document.createElement('dd'));
      list.append(pair);
    }
  }
  Object.values(totals).forEach((value, index) => setText(list.children[index].querySelector('dd'), String(value)));
}

function showTable(counts) {
  const body = element('requests');
  const sorted = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  const text = JSON.stringify(sorted);
  if (body.dataset.text === text) return;
  body.dataset.text = text;
  body.replaceChildren(
    ...sorted.map(([route, count]) => {
      const row = document.createElement('tr');
      row.append(...[route, count].map((value) => Object.assign(document.createElement('td'), { textContent: value })));
      return row;
    }),
  );
}

function describe({ hits, ...fault }) {
  const parts = Object.entries(fault).map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`);
  return `${parts.join(', ') || 'any call'} (hit ${hits} ${hits === 1 ? 'time' : 'times'})`;
}

function showFaults(faults) {
  const list = element('faults');
  const text = JSON.stringify(faults);
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(...faults.map((fault) => Object.assign(document.createElement('li'), { textContent: describe(fault) })));
}

function showKey() {
  const visible = element('show-key').getAttribute('aria-pressed') === 'true';
  setText(element('key'), visible ? card.api_key : '•'.repeat(16));
}

function show(view) {
  card = view;
  showTotals(view.stats);
  showRuns(view.runs);
  showTable(view.stats.requests);
  showFaults(view.faults);
  showKey();
  element('more').hidden = !view.has_more;
  element('empty').hidden = view.runs.length > 0 || status !== '';
  element('frozen').hidden = !view.is_frozen;
  setText(element('freeze'), view.is_frozen ? 'Go on' : 'Stop');
  const clock = element('clock');
  clock.dateTime = new Date(view.now * 1000).toISOString();
  setText(clock, when(view.now * 1000));
  if (project) setText(element('scope'), `Project ${view.project_name} (${project})`);
  setText(element('try'), view.example);
  const routes = document.querySelector('select[name="route"]');
  if (routes.options.length === 1) routes.append(...view.routes.map((route) => new Option(route, route)));
}

async function refresh() {
  const query = new URLSearchParams({ limit, status, project_id: project });
  try {
    show(await call('GET', `/view?${query}`));
    if (element('message').textContent.startsWith('The sandbox')) say('');
  } catch (error) {
    say(error instanceof TypeError ? 'The sandbox does not answer. Trying again.' : error.message);
  }
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
    say(`Copy it by hand: ${text}`);
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
    limit = PAGE;
    for (const other of document.querySelectorAll('button[data-status]')) other.setAttribute('aria-pressed', String(other === button));
    refresh();
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
element('more').addEventListener('click', () => {
  limit += PAGE;
  refresh();
});
element('fault').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const what = form.get('what');
  const fault = /^\d+$/.test(what) ? { status: Number(what) } : { delivery: what };
  if (form.get('route')) fault.route = form.get('route');
  if (form.get('after')) fault.after = true;
  turn('POST', '/faults', { ...fault, times: Number(form.get('times')) }, 'Fault added.');
});

async function keepRefreshing() {
  if (!document.hidden) await refresh();
  setTimeout(keepRefreshing, EVERY);
}
document.addEventListener('visibilitychange', () => document.hidden || refresh());
keepRefreshing();
