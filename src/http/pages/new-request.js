// The form for a new request.

import { post, Problem } from './api.js';
import { choices, field, form, h, heading, note, section, select, ticked, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, toLocalInput, zoneText } from './times.js';
import { cameraText, readCameras } from './cameras.js';
import { channelSelect } from './request-acts.js';

const KINDS = [
  'viewing', 'existence-check', 'copy', 'erasure', 'provision', 'own-use', 'operating-room-authority', 'operating-room-mediation',
  'operating-room-consent',
];
const CAPACITIES = ['own', 'agent', 'guardian', 'representative', 'authority', 'staff'];
/// PIPA 18(2), the whole list.
const BASES = [
  'consent', 'another-law', 'urgent-interest', 'commission-deliberation', 'treaty', 'investigation', 'trial', 'execution', 'public-safety',
];
/// As whom somebody asks who asks for such a thing.
const CAPACITY_OF = { 'own-use': 'staff', 'operating-room-authority': 'authority', 'operating-room-mediation': 'authority' };

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

/// What is typed of a person; the fields of who it is about have a prefix.
function readPerson(element, prefix = '') {
  const person = { name: typed(element, `${prefix}person-name`), contact: typed(element, `${prefix}contact`) };
  for (const [name, field] of [['birth_date', 'birth'], ['address', 'address'], ['relation', 'relation']]) {
    const text = typed(element, `${prefix}${field}`);
    if (text !== null) person[name] = text;
  }
  return person;
}

/// What was filled in of what can be left out.
function readMore(element) {
  const more = {};
  for (const field of ['urgent', 'place', 'recipient']) {
    const text = typed(element, field);
    if (text !== null) more[field] = text;
  }
  const received = fromLocalInput(typed(element, 'received'));
  if (received) more.received = received;
  if (typed(element, 'subject-person-name') !== null) more.subject = readPerson(element, 'subject-');
  if (element.elements.kind.value === 'provision') {
    const { basis, form: shape, until } = element.elements;
    more.provision = { basis: basis.value, form: shape.value, until: until.value };
  }
  return more;
}

function readForm(element) {
  const person = readPerson(element);
  return {
    kind: element.elements.kind.value,
    capacity: element.elements.capacity.value,
    channel: element.elements.channel.value,
    signed: ticked(element, 'signed').length > 0,
    ...readMore(element),
    cameras: ticked(element, 'cameras').map(Number),
    span: { from: fromLocalInput(element.elements.from.value), to: fromLocalInput(element.elements.to.value) },
    purpose: typed(element, 'purpose'),
    person,
  };
}

function personFields(prefix, { optional }) {
  const text = (name, more = {}) => h('input', { type: 'text', name: `${prefix}${name}`, autocomplete: 'off', ...more });
  return [
    h('div', { class: 'pair' },
      field(t('new.name'), text('person-name'), { optional }),
      field(t('new.contact'), text('contact'), { optional, hint: t('new.contact.hint') })),
    h('div', { class: 'pair' },
      field(t('new.birth'), h('input', { type: 'date', name: `${prefix}birth`, max: toLocalInput(Date.now()).slice(0, 10) }), { optional: true }),
      field(t('new.address'), text('address'), { optional: true })),
    field(t('new.relation'), text('relation'), { optional: true, hint: t('new.relation.hint') }),
  ];
}

/// Who gets it, and on which ground: of what is provided to somebody else.
function provisionFields() {
  return h('details', { class: 'provision' },
    h('summary', {}, t('new.provision')),
    field(t('new.recipient'), h('input', { type: 'text', name: 'recipient', autocomplete: 'off' }), { optional: true }),
    h('div', { class: 'pair' },
      field(t('new.basis'), select('basis', BASES.map((one) => [one, word('basis', one)])), { optional: true }),
      field(t('new.form'), select('form', ['viewing', 'copy'].map((one) => [one, word('form', one)])), { optional: true })),
    field(t('new.until'), h('input', { type: 'date', name: 'until' }), { optional: true }));
}

/// How it came, and as whom somebody asks.
function howItCame() {
  return section(t('new.as'),
    h('div', { class: 'pair' },
      field(t('new.as'), select('capacity', CAPACITIES.map((one) => [one, word('capacity', one)]))),
      field(t('new.channel'), channelSelect())),
    field(t('new.received'), h('input', { type: 'datetime-local', name: 'received', step: '1', max: toLocalInput(Date.now()) }), {
      optional: true, hint: t('new.received.hint'),
    }),
    h('label', { class: 'choice' }, h('input', { type: 'checkbox', name: 'signed' }), h('span', {}, t('new.signed'))));
}

/// Opens what a kind of request asks for, and sets as whom it is asked.
function followKind(element) {
  element.addEventListener('change', ({ target }) => {
    if (target.name !== 'kind') return;
    element.elements.capacity.value = CAPACITY_OF[target.value] ?? 'own';
    element.querySelector('.provision').open = ['provision', 'operating-room-authority', 'operating-room-mediation'].includes(target.value);
  });
  return element;
}

export async function newRequestPage(house) {
  const cameras = await readCameras();
  if (cameras.length === 0) return [heading(t('new.title')), note(t('new.cameras.none'))];
  return [
    heading(t('new.title')),
    followKind(form({ id: 'new-request', class: 'wide', autocomplete: 'off' }, async (element, once) => {
      const asked = readForm(element);
      if (asked.cameras.length === 0 && !asked.place) {
        throw new Problem(422, { type: 'urn:custodian:no-camera' });
      }
      const request = await post('/v1/requests', asked, null, once);
      const key = request.state === 'unavailable' ? 'new.done.unavailable' : 'new.done';
      house.go(`requests/${request.number}`, t(key, { number: request.number }));
    },
    note(t('new.no-id'), 'warning'),
    section(t('new.what'),
      choices(t('new.kind'), 'radio', 'kind', KINDS.map((one) => [one, word('kind', one), one === 'viewing'])),
      cameraChoices(cameras),
      spanFields(),
      field(t('new.place'), h('input', { type: 'text', name: 'place', autocomplete: 'off' }), { optional: true, hint: t('new.place.hint') }),
      field(t('new.purpose'), h('textarea', { name: 'purpose', rows: '3' }), { hint: t('new.purpose.hint') }),
      field(t('new.urgent'), h('textarea', { name: 'urgent', rows: '2' }), { optional: true, hint: t('new.urgent.hint') })),
    howItCame(),
    section(t('new.who'), personFields('', { optional: false }),
      h('details', {}, h('summary', {}, t('new.subject')), personFields('subject-', { optional: true })),
      provisionFields()),
    h('button', { type: 'submit', class: 'main' }, t('new.send')))),
  ];
}
