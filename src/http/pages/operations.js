// Operating rooms: staff says when an operation begins and ends, and who asked that it be filmed.

import { get, post } from './api.js';
import { choices, confirmation, facts, field, form, h, heading, note, section, table, typed } from './dom.js';
import { t, word } from './words.js';
import { pointText } from './times.js';
import { cameraStateText, cameraText, readCameras, refreshButton } from './cameras.js';
import { accountNames } from './records.js';

const ASKED_BY = ['patient', 'guardian', 'medical-staff'];
/// How often it is looked whether the camera really films.
const LOOK_EVERY_MS = 2000;
/// And for how long: a page that asks for ever would keep a session alive that nobody sits at.
const LOOK_FOR_MS = 120_000;

/// As in `1:05:09`.
function runningText(seconds) {
  const two = (number) => String(Math.floor(number)).padStart(2, '0');
  return `${Math.floor(seconds / 3600)}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
}

function askedText({ asked_by: by, name }) {
  return name ? `${name} (${word('asked-by', by)})` : word('asked-by', by);
}

function startForm(house, camera) {
  const text = (name) => h('input', { type: 'text', name, autocomplete: 'off' });
  return form({ id: `start-${camera.number}`, class: 'wide', autocomplete: 'off' }, async (element, once) => {
    const operation = await post('/v1/operations', {
      camera: camera.number,
      asked_by: element.elements['asked-by'].value,
      name: typed(element, 'asker'),
      note: typed(element, 'note'),
    }, null, once);
    await house.refresh(t('operation.started', { number: operation.operation }));
  },
  choices(t('operation.asked-by'), 'radio', 'asked-by', ASKED_BY.map((by) => [by, word('asked-by', by)])),
  field(t('operation.name'), text('asker'), { hint: `${t('operation.name.hint')} ${t('new.no-id')}` }),
  field(t('operation.note'), text('note'), { optional: true, hint: t('operation.note.hint') }),
  h('button', { type: 'submit', class: 'main' }, t('operation.start')));
}

function endForm(house, operation) {
  return form({ id: `end-${operation.camera}`, class: 'wide' }, async (_, once) => {
    await post(`/v1/operations/${operation.operation}/end`, {}, null, { ...once, seen: operation.version });
    await house.refresh(t('operation.ended', { number: operation.operation }));
  },
  h('p', {}, t('operation.end.why')),
  confirmation('sure', t('operation.end.sure')),
  h('button', { type: 'submit', class: 'grave' }, t('operation.end')));
}

/// What stands about an operation that is under way; its running time is brought up to date by `tick`.
function underWay(operation, running, names) {
  return facts([
    [t('operation.number'), operation.operation],
    [t('operation.running'), running],
    [t('operation.since'), pointText(operation.started)],
    [t('operation.asked-by'), askedText(operation)],
    [t('operation.note'), operation.note && h('span', { class: 'said' }, operation.note)],
    [t('operation.started-by'), names.get(operation.started_by) ?? t('who.person', { account: operation.started_by })],
  ]);
}

function room(house, camera, operation, names) {
  const acts = house.session.role !== 'auditor';
  const state = h('p', { class: 'camera-state', role: 'status' }, cameraStateText(camera));
  const running = h('strong', { class: `running number${operation?.is_long ? ' late' : ''}`, role: 'timer' });
  const began = performance.now();
  const tick = () => {
    if (operation) running.textContent = runningText(operation.length_s + (performance.now() - began) / 1000);
  };
  tick();
  const shown = section(`${camera.number} · ${camera.name} (${camera.place})`,
    state,
    operation?.is_long && h('p', { class: 'box warning' }, t('operation.long')),
    operation ? underWay(operation, running, names) : h('p', {}, t('operation.none')),
    acts && (operation ? endForm(house, operation) : startForm(house, camera)));
  let known = camera;
  const told = (now) => {
    // What has not changed is not read out again.
    if (now.state === known.state && now.detail === known.detail) return;
    known = now;
    state.replaceChildren(...cameraStateText(now).flat(Infinity));
  };
  return { shown, tick, told, number: camera.number };
}

/// A camera that is no operating room's any more, and whose operation is still to be ended.
function left(house, cameras, operation, names) {
  return section(cameraText(cameras, operation.camera),
    h('p', { class: 'box problem' }, t('operation.left')),
    underWay(operation, runningText(operation.length_s), names),
    house.session.role !== 'auditor' && endForm(house, operation));
}

function pastTable(cameras, operations) {
  return table(t('operations.past'), [
    [t('col.number'), (one) => String(one.operation), 'number'],
    [t('col.camera'), (one) => cameraText(cameras, one.camera)],
    [t('operation.since'), (one) => pointText(one.started)],
    [t('operation.until'), (one) => pointText(one.ended)],
    [t('operation.length'), (one) => runningText(one.length_s), 'number'],
    [t('operation.asked-by'), askedText],
  ], operations);
}

export async function operationsPage(house) {
  const [cameras, { operations }, names] = await Promise.all([
    readCameras(), get('/v1/operations'), accountNames(house.session),
  ]);
  const theatres = cameras.filter((camera) => camera.class === 'operating-room');
  const running = operations.filter((one) => one.ended === null);
  const rooms = theatres.map((camera) => room(house, camera, running.find((one) => one.camera === camera.number), names));
  const orphans = running.filter((one) => !theatres.some((camera) => camera.number === one.camera));
  const past = operations.filter((one) => one.ended !== null);
  const timer = setInterval(() => rooms.forEach((one) => one.tick()), 1000);
  const opened = performance.now();
  const looking = setInterval(async () => {
    if (performance.now() - opened > LOOK_FOR_MS) return;
    const now = await readCameras().catch(() => []);
    for (const one of rooms) {
      const camera = now.find((camera) => camera.number === one.number);
      if (camera) one.told(camera);
    }
  }, LOOK_EVERY_MS);
  house.whenLeft(() => {
    clearInterval(timer);
    clearInterval(looking);
  });
  return [
    h('div', { class: 'title' }, heading(t('operations.title')), refreshButton(house)),
    h('p', {}, t('operations.law')),
    theatres.length === 0 && note(t('operations.no-rooms')),
    ...rooms.map((one) => one.shown),
    ...orphans.map((one) => left(house, cameras, one, names)),
    past.length > 0 && pastTable(cameras, past),
  ].filter(Boolean);
}
