// One request, with all that its reader may do to it.

import { answerText, get, post } from './api.js';
import { choices, confirmation, facts, form, h, heading, note, section, table } from './dom.js';
import { t, word } from './words.js';
import { clockText, pointText, spanText } from './times.js';
import { DECIDABLE, UNDECIDED, dueText, stateMark } from './request-list.js';
import { cameraText, readCameras, refreshButton } from './cameras.js';
import { decisionForms } from './decision.js';
import { passwordField, postWithPassword, takePassword } from './password.js';
import {
  conditionsText, deliverForm, disputeForm, feeForm, paperChoices, papersSeen, papersText, proposalForms, withdrawForm,
} from './request-acts.js';

const DOCUMENTS = ['resident-card', 'passport', 'drivers-licence', 'alien-card', 'official-letter'];
/// States behind which nothing comes.
const ENDED = ['closed', 'withdrawn', 'unavailable'];
/// States with an answer that can be handed over.
const ANSWERED = ['approved', 'partly', 'confirmed', 'refused', 'erased'];
const CLOSABLE = [...ANSWERED, 'delivered', 'unavailable'];

/// What stands between two pieces and is shorter than this is the seam of two files.
const SEAM_MS = 1500;

/// Pieces as people read them: cut to the span asked for, neighbours of a kind joined, and what nothing is known of
/// named too. Times in ms since 1970.
function joined(pieces, whole) {
  const [begin, end] = [new Date(whole.from).getTime(), new Date(whole.to).getTime()];
  const cut = pieces
    .map((piece) => ({
      ...piece,
      from: Math.max(new Date(piece.span.from).getTime(), begin),
      to: Math.min(new Date(piece.span.to).getTime(), end),
    }))
    .filter((piece) => piece.from < piece.to)
    .sort((a, b) => a.from - b.from);
  const shown = [];
  let until = begin;
  const unknown = (to) => {
    if (to - until >= SEAM_MS) shown.push({ state: 'nothing', from: until, to });
  };
  for (const piece of cut) {
    unknown(piece.from);
    const last = shown.at(-1);
    if (last && last.state === piece.state && last.cause === piece.cause && last.in_doubt === piece.in_doubt && piece.from - last.to < SEAM_MS) {
      last.to = Math.max(last.to, piece.to);
      last.at = piece.at;
    } else {
      shown.push({ ...piece });
    }
    until = Math.max(until, piece.to);
  }
  unknown(end);
  return shown;
}

/// One camera's pieces: a strip for the eye, a table for everybody.
function availability(cameras, number, pieces, whole) {
  const shown = joined(pieces, whole);
  const strip = h('div', { class: 'strip', 'aria-hidden': 'true' }, shown.map((piece) => {
    const part = h('span', { class: piece.state });
    part.style.flexGrow = String(piece.to - piece.from);
    return part;
  }));
  const remark = (piece) => {
    if (piece.state === 'destroyed') return t('piece.destroyed-at', { when: pointText(piece.at) });
    if (piece.in_doubt) return t('piece.in-doubt');
    return piece.state === 'gap' ? word('cause', piece.cause) : '';
  };
  const title = cameraText(cameras, number);
  return h('div', { class: 'pieces' }, h('h3', {}, title), strip,
    h('div', { class: 'ends', 'aria-hidden': 'true' }, h('span', {}, clockText(whole.from)), h('span', {}, clockText(whole.to))),
    table(title, [
      [t('piece.what'), (piece) => h('span', { class: `piece ${piece.state}` }, word('piece', piece.state))],
      [t('piece.span'), spanText],
      [t('piece.why'), remark],
    ], shown));
}

function identityForm(house, request) {
  return section(t('request.identity'), form({ id: 'identity' }, async (element, once) => {
    await post(`/v1/requests/${request.number}/identity`, { document: element.elements.document.value, seen: papersSeen(element) }, null, { ...once, seen: request.version });
    await house.refresh(t('request.identity.done'));
  },
  choices(t('request.identity.what'), 'radio', 'document', DOCUMENTS.map((one) => [one, word('document', one)]), t('request.identity.hint')),
  paperChoices(),
  h('button', { type: 'submit', class: 'main' }, t('request.identity.send'))));
}

function closeForm(house, request) {
  return section(t('request.close'), form({ id: 'close' }, async (_, once) => {
    await post(`/v1/requests/${request.number}/close`, {}, null, { ...once, seen: request.version });
    await house.refresh(t('request.close.done'));
  }, h('p', {}, t(request.state === 'refused' ? 'request.close.why-refused' : 'request.close.why')), confirmation('sure', t('request.close.sure')),
  h('button', { type: 'submit', class: 'grave' }, t('request.close.send'))));
}

/// Somebody objects to a refusal, for as long as that can be done.
function objectForm(house, request) {
  return section(t('request.object'), form({ id: 'object' }, async (_, once) => {
    await post(`/v1/requests/${request.number}/objection`, {}, null, { ...once, seen: request.version });
    await house.refresh(t('request.object.done'));
  }, h('p', {}, t('request.object.why', { until: pointText(request.objection_until) })), confirmation('objects', t('request.object.sure')),
  h('button', { type: 'submit' }, t('request.object.send'))));
}

/// A request that holds so much that an officer is to look at it first.
function confirmHoldForm(house, request) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  const { camera_hours: hours, confirm_until: until } = request.hold;
  return section(t('request.big'), form({ id: 'confirm-big' }, async (_, once) => {
    await postWithPassword(`/v1/requests/${request.number}/hold/confirmation`, { password: takePassword(password) }, { ...once, seen: request.version });
    await house.refresh(t('hold.confirm.done'));
  }, h('p', {}, t('request.big.why', { hours, until: pointText(until) })), passwordLine,
  h('button', { type: 'submit' }, t('hold.confirm.send'))));
}

function holdText({ held, hold }) {
  if (!held) return t('no');
  return hold?.until ? t('request.held.until', { until: pointText(hold.until) }) : t('yes');
}

/// Why something stays that was to be erased.
function keptText({ kind, by, until }) {
  if (kind === 'held') return by.hold ? t('row.hold', { n: by.hold }) : t('row.request', { n: by.request });
  return kind === 'floor' ? t('kept.floor', { until: pointText(until) }) : word('kept', kind);
}

function byText(done) {
  return done && t('request.by', { when: pointText(done.at), account: done.by ?? '–' });
}

/// How it came, for whom, and on what ground it goes to somebody else.
function termsOf({ terms, recipient }) {
  if (!terms) return [];
  const { capacity, channel, signed, provision } = terms;
  return [
    [t('request.capacity'), word('capacity', capacity)],
    [t('request.channel'), word('channel', channel)],
    [t('request.signed'), signed && t('yes')],
    [t('request.recipient'), recipient && h('span', { class: 'said' }, recipient)],
    [t('request.basis'), provision && word('basis', provision.basis)],
    [t('request.form'), provision && word('form', provision.form)],
    [t('request.used-until'), provision && provision.until],
  ];
}

function whatIsAsked(request, cameras) {
  return section(t('request.facts'), facts([
    [t('col.state'), stateMark(request.state)],
    [t('col.due'), dueText(request)],
    [t('col.kind'), word('kind', request.kind)],
    [t('col.span'), spanText(request.span)],
    [t('col.cameras'), h('ul', { class: 'bare' }, request.cameras.map((number) => h('li', {}, cameraText(cameras, number))))],
    [t('request.purpose'), request.purpose && h('span', { class: 'said' }, request.purpose)],
    [t('request.place'), request.place && h('span', { class: 'said' }, request.place)],
    [t('request.urgent'), request.urgent && h('span', { class: 'said' }, request.urgent)],
    ...termsOf(request),
    [t('request.received'), pointText(request.received)],
    [t('request.entered-at'), request.entered !== request.received && pointText(request.entered)],
    [t('request.entered'), request.entered_by],
    [t('request.document'), request.document && word('document', request.document)],
    [t('request.checked'), byText(request.checked)],
    [t('request.papers'), papersText(request.checked)],
    [t('request.fee'), request.fee && t(request.fee.paid ? 'request.fee.paid' : 'request.fee.open', { won: request.fee.amount_krw })],
    [t('request.decided'), byText(request.decided)],
    [t('request.delivered'), byText(request.delivered)],
    [t('request.objection-until'), request.objection_until && pointText(request.objection_until)],
    [t('request.held'), holdText(request)],
    [t('request.granted'), request.granted.length > 0 && h('ul', { class: 'bare' }, request.granted.map((view) =>
      h('li', {}, `${cameraText(cameras, view.camera)}: ${spanText(view.span)}`)))],
    [t('request.conditions'), conditionsText(request.conditions)],
    [t('request.erased'), request.erased && h('ul', { class: 'bare' }, request.erased.map((view) =>
      h('li', {}, `${cameraText(cameras, view.camera)}: ${spanText(view.span)}`)))],
    [t('request.kept'), request.kept && h('ul', { class: 'bare' }, request.kept.map((view) =>
      h('li', {}, `${cameraText(cameras, view.camera)}: ${spanText(view.span)} (${keptText(view.why)})`)))],
    [t('request.answer'), request.answer && h('span', { class: 'said' }, answerText(request.answer))],
  ]));
}

function personFacts(title, person) {
  return section(title, facts([
    [t('new.name'), person.name],
    [t('new.contact'), person.contact],
    [t('new.birth'), person.birth_date],
    [t('new.address'), person.address],
    [t('new.relation'), person.relation],
  ]));
}

function whoAsks({ person, subject, persons_erased: erased }) {
  if (erased) return [section(t('request.person'), h('p', {}, t('request.person.erased', { when: pointText(erased) })))];
  if (!person) return [section(t('request.person'), h('p', {}, t('request.person.hidden')))];
  return [personFacts(t('request.person'), person), subject && personFacts(t('request.subject'), subject)];
}

/// What the reader may do now, as the request stands.
async function actions(house, request, cameras) {
  const { role, account } = house.session;
  const staff = role === 'staff';
  const officer = role === 'officer';
  const shown = [];
  if (staff && request.state === 'submitted') shown.push(identityForm(house, request));
  if (officer && request.state === 'submitted') shown.push(note(t('request.identity.first')));
  if (officer && request.hold?.confirm_until) shown.push(confirmHoldForm(house, request));
  if (request.dispute) shown.push(note(t('request.dispute', { n: request.dispute }), 'warning'));
  if (DECIDABLE.includes(request.state)) {
    shown.push(...proposalForms(house, request));
    const proposes = request.two_decide && role === 'auditor';
    if (officer && request.entered_by === account) shown.push(note(t('request.own')));
    else if (officer || proposes) shown.push(...await decisionForms(house, request, cameras));
  }
  if ((staff || officer) && ANSWERED.includes(request.state)) shown.push(deliverForm(house, request));
  if ((staff || officer) && new Date(request.objection_until) > new Date()) shown.push(objectForm(house, request));
  if ((staff || officer) && CLOSABLE.includes(request.state)) shown.push(closeForm(house, request));
  if ((staff || officer) && !ENDED.includes(request.state)) shown.push(feeForm(house, request));
  if ((staff || officer) && UNDECIDED.includes(request.state)) shown.push(withdrawForm(house, request));
  if (officer && !ENDED.includes(request.state)) shown.push(disputeForm(house, request));
  return shown;
}

export async function requestPage(house) {
  const [request, cameras] = await Promise.all([get(`/v1/requests/${encodeURIComponent(house.path[1])}`), readCameras()]);
  const pieces = request.availability ?? {};
  return [
    h('p', { class: 'back' }, h('a', { href: '#/requests' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('request.title', { number: request.number })),
      h('a', { class: 'button', id: 'letters', href: `#/requests/${request.number}/letters` }, t('letters.open')), refreshButton(house)),
    h('div', { class: 'columns' },
      h('div', {}, whatIsAsked(request, cameras), whoAsks(request),
        Object.keys(pieces).length > 0 && section(t('request.availability'),
          Object.entries(pieces).map(([number, list]) => availability(cameras, Number(number), list, request.span)))),
      h('div', {}, await actions(house, request, cameras))),
  ];
}
