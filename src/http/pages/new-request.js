// The form for a new request.

import { onceKey, post, Problem } from './api.js';
import { choices, field, form, h, heading, note, section, ticked, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, toLocalInput, zoneText } from './times.js';
import { cameraText, readCameras } from './cameras.js';

/// From so many cameras on, a box to find one by its number, name or place.
const MANY = 8;
const USUAL_SPAN_MS = 10 * 60_000;

export function cameraChoices(cameras) {
  const boxes = choices(t('new.cameras'), 'checkbox', 'cameras',
    cameras.map((camera) => [camera.number, cameraText(cameras, camera.number), cameras.length === 1]), t('new.cameras.hint'));
  if (cameras.length < MANY) return boxes;
  const find = h('input', {
    type: 'search', name: 'find', autocomplete: 'off',
    oninput: () => {
      const wanted = find.value.trim().toLowerCase();
      for (const label of boxes.querySelectorAll('.choice')) {
        const ticked = label.querySelector('input').checked;
        label.hidden = !ticked && !label.textContent.toLowerCase().includes(wanted);
      }
    },
  });
  boxes.classList.add('many');
  return [field(t('new.cameras.find'), find, { optional: true }), boxes];
}

/// Two local times, and beside them what they are in UTC: what is sent.
export function spanFields() {
  const last = toLocalInput(Date.now());
  const from = h('input', { type: 'datetime-local', name: 'from', step: '1', max: last });
  const to = h('input', { type: 'datetime-local', name: 'to', step: '1', max: last });
  const utc = h('p', { class: 'hint', 'aria-live': 'polite' });
  const tell = () => {
    const [begin, end] = [fromLocalInput(from.value), fromLocalInput(to.value)];
    const short = (at) => at.replace('T', ' ').replace('.000Z', '');
    utc.textContent = begin && end ? t('new.utc', { from: short(begin), to: short(end) }) : '';
  };
  from.addEventListener('change', () => {
    const begin = fromLocalInput(from.value);
    if (begin && !to.value) to.value = toLocalInput(Math.min(new Date(begin).getTime() + USUAL_SPAN_MS, Date.now()));
    tell();
  });
  to.addEventListener('change', tell);
  return [h('div', { class: 'pair' }, field(t('new.from'), from), field(t('new.to'), to)),
    h('p', { class: 'hint' }, t('new.zone', { zone: zoneText() })), utc];
}

function readForm(element) {
  const person = { name: typed(element, 'person-name'), contact: typed(element, 'contact') };
  for (const [name, field] of [['birth_date', 'birth'], ['relation', 'relation']]) {
    const text = typed(element, field);
    if (text !== null) person[name] = text;
  }
  return {
    kind: element.elements.kind.value,
    cameras: ticked(element, 'cameras').map(Number),
    span: { from: fromLocalInput(element.elements.from.value), to: fromLocalInput(element.elements.to.value) },
    purpose: typed(element, 'purpose'),
    person,
  };
}

export async function newRequestPage(house) {
  const cameras = await readCameras();
  const text = (name, more = {}) => h('input', { type: 'text', name, autocomplete: 'off', ...more });
  if (cameras.length === 0) return [heading(t('new.title')), note(t('new.cameras.none'))];
  const once = onceKey();
  return [
    heading(t('new.title')),
    form({ id: 'new-request', class: 'wide', autocomplete: 'off' }, async (element) => {
      const asked = readForm(element);
      if (asked.cameras.length === 0) {
        throw new Problem(422, { type: 'urn:custodian:no-camera' });
      }
      const request = await post('/v1/requests', asked, null, { key: once });
      const key = request.state === 'unavailable' ? 'new.done.unavailable' : 'new.done';
      house.go(`requests/${request.number}`, t(key, { number: request.number }));
    },
    note(t('new.no-id'), 'warning'),
    section(t('new.what'),
      choices(t('new.kind'), 'radio', 'kind', ['viewing', 'existence-check', 'erasure'].map((one) => [one, word('kind', one), one === 'viewing'])),
      cameraChoices(cameras),
      spanFields(),
      field(t('new.purpose'), h('textarea', { name: 'purpose', rows: '3' }), { hint: t('new.purpose.hint') })),
    section(t('new.who'),
      h('div', { class: 'pair' },
        field(t('new.name'), text('person-name')),
        field(t('new.contact'), text('contact'), { hint: t('new.contact.hint') })),
      h('div', { class: 'pair' },
        field(t('new.birth'), h('input', { type: 'date', name: 'birth', max: toLocalInput(Date.now()).slice(0, 10) }), { optional: true }),
        field(t('new.relation'), text('relation'), { optional: true, hint: t('new.relation.hint') }))),
    h('button', { type: 'submit', class: 'main' }, t('new.send'))),
  ];
}
