// Holds: what is kept beyond its day, why, and until when somebody looks at it again.

import { get, post, Problem } from './api.js';
import { facts, field, form, h, heading, note, section, select, table, ticked, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, pointText, spanText, toLocalInput, zoneText } from './times.js';
import { cameraText, readCameras, refreshButton } from './cameras.js';
import { cameraChoices, spanFields } from './new-request.js';
import { accountNames, bytesText, count } from './records.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

const REASONS = [
  'incident', 'accident', 'crime-report', 'dispute', 'investigation', 'court-order', 'insurance', 'own-request', 'inspection', 'other',
];
const DAY_MS = 86_400_000;
const USUAL_REVIEW_MS = 30 * DAY_MS;
const LATEST_REVIEW_MS = 90 * DAY_MS;

function personText(account, names) {
  if (account === null || account === undefined) return null;
  return names.get(account) ?? t('who.person', { account });
}

function stateMark(hold) {
  return h('span', { class: `state hold-${hold.state}` }, word('hold.state', hold.state));
}

function reviewText(hold) {
  if (!hold.review_is_due) return pointText(hold.review);
  return [h('strong', { class: 'late' }, t('hold.review.due')), h('span', { class: 'remark' }, pointText(hold.review))];
}

function heldFacts({ footage, share_percent: share }) {
  return section(t('holds.held'), facts([
    [t('holds.held.bytes'), `${bytesText(footage.bytes)}${share === null ? '' : ` (${t('holds.held.share', { share })})`}`],
    [t('holds.held.segments'), count(footage.segments)],
    [t('holds.held.past'), `${bytesText(footage.past_bytes)}, ${t('row.segments', { n: count(footage.past_segments) })}`],
    [t('holds.held.oldest'), footage.oldest && pointText(footage.oldest)],
  ]));
}

function holdsTable(caption, holds, names) {
  return table(caption, [
    [t('col.number'), (hold) => h('a', { href: `#/holds/${hold.hold}`, class: 'row-link', 'aria-label': t('hold.title', { number: hold.hold }) }, String(hold.hold)), 'number'],
    [t('col.state'), stateMark],
    [t('hold.reason'), (hold) => word('hold.reason', hold.reason)],
    [t('col.cameras'), (hold) => hold.cameras.join(', ')],
    [t('col.span'), (hold) => spanText(hold.span)],
    [t('hold.owner'), (hold) => personText(hold.owner, names) ?? '–'],
    [t('hold.review'), (hold) => (hold.state === 'ended' ? '–' : reviewText(hold))],
    [t('hold.ends'), (hold) => (hold.ended ? `${word('hold.end', hold.end)} ${pointText(hold.ended)}` : hold.ends ? pointText(hold.ends) : '–')],
  ], holds);
}

function requestsTable(holds) {
  return table(t('holds.of-requests'), [
    [t('grants.request'), (hold) => h('a', { href: `#/requests/${hold.request}`, class: 'row-link', 'aria-label': t('request.title', { number: hold.request }) }, String(hold.request)), 'number'],
    [t('col.state'), (hold) => h('span', { class: `state ${hold.state}` }, word('state', hold.state))],
    [t('hold.camera-hours'), (hold) => count(hold.camera_hours), 'number'],
    [t('col.cameras'), (hold) => hold.cameras.join(', ')],
    [t('col.span'), (hold) => spanText(hold.span)],
    [t('hold.until'), (hold) => {
      if (hold.confirm_until) return h('strong', { class: 'late' }, t('hold.confirm-until', { when: pointText(hold.confirm_until) }));
      return hold.until ? pointText(hold.until) : t('hold.while-open');
    }],
  ], holds);
}

async function listPage(house) {
  const [told, names] = await Promise.all([get('/v1/holds'), accountNames(house.session)]);
  const standing = told.holds.filter((hold) => hold.state !== 'ended');
  const ended = told.holds.filter((hold) => hold.state === 'ended');
  return [
    h('div', { class: 'title' }, heading(t('holds.title')),
      house.session.role === 'officer' && h('a', { class: 'button main', href: '#/holds/new' }, t('holds.new')), refreshButton(house)),
    heldFacts(told),
    standing.length > 0 ? holdsTable(t('holds.standing'), standing, names) : note(t('holds.none')),
    told.of_requests.length > 0 && requestsTable(told.of_requests),
    ended.length > 0 && holdsTable(t('holds.ended'), ended, names),
  ].filter(Boolean);
}

/// When it is looked at again, and when it ends by itself.
function termFields(review, ends) {
  const zone = t('new.zone', { zone: zoneText() });
  const latest = toLocalInput(Date.now() + LATEST_REVIEW_MS);
  return h('div', { class: 'pair' },
    field(t('hold.review'), h('input', { type: 'datetime-local', name: 'review', step: '1', min: toLocalInput(Date.now()), max: latest, value: toLocalInput(review) }),
      { hint: `${t('hold.review.hint')} ${zone}` }),
    field(t('hold.ends'), h('input', { type: 'datetime-local', name: 'ends', step: '1', value: ends ? toLocalInput(ends) : '' }),
      { optional: true, hint: t('hold.ends.hint') }));
}

function readTerms(element) {
  return { review: fromLocalInput(typed(element, 'review')), ends: fromLocalInput(typed(element, 'ends')) };
}

async function newPage(house) {
  const cameras = await readCameras();
  const title = heading(t('holds.new'));
  if (house.session.role !== 'officer') return [title, note(t('problem.forbidden'))];
  if (cameras.length === 0) return [title, note(t('new.cameras.none'))];
  return [
    h('p', { class: 'back' }, h('a', { href: '#/holds' }, `← ${t('back')}`)),
    title,
    form({ id: 'new-hold', class: 'wide', autocomplete: 'off' }, async (element, once) => {
      const chosen = ticked(element, 'cameras').map(Number);
      if (chosen.length === 0) throw new Problem(422, { type: 'urn:custodian:no-camera' });
      const hold = await post('/v1/holds', {
        reason: element.elements.reason.value,
        text: typed(element, 'text'),
        cameras: chosen,
        span: { from: fromLocalInput(element.elements.from.value), to: fromLocalInput(element.elements.to.value) },
        ...readTerms(element),
      }, null, once);
      house.go(`holds/${hold.hold}`, t('holds.new.done', { number: hold.hold }));
    },
    note(t('holds.new.why')),
    section(t('holds.new.what'), cameraChoices(cameras), spanFields()),
    section(t('holds.new.reason'),
      field(t('hold.reason'), select('reason', REASONS.map((one) => [one, word('hold.reason', one)]))),
      field(t('hold.text'), h('textarea', { name: 'text', rows: '3' }), { hint: `${t('hold.text.hint')} ${t('new.no-id')}` }),
      termFields(Date.now() + USUAL_REVIEW_MS, null)),
    h('button', { type: 'submit', class: 'main' }, t('holds.new.send'))),
  ];
}

function confirmForm(house, hold) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  return section(t('hold.confirm'), form({ id: 'confirm-hold' }, async (_, once) => {
    await postWithPassword(`/v1/holds/${hold.hold}/confirmation`, { password: takePassword(password) }, { ...once, seen: hold.version });
    await house.refresh(t('hold.confirm.done'));
  }, h('p', {}, t('hold.confirm.why')), passwordLine, h('button', { type: 'submit', class: 'main' }, t('hold.confirm.send'))));
}

function extendForm(house, hold) {
  return section(t('hold.extend'), form({ id: 'extend-hold' }, async (element, once) => {
    await post(`/v1/holds/${hold.hold}/extension`, readTerms(element), null, { ...once, seen: hold.version });
    await house.refresh(t('hold.extend.done'));
  }, h('p', {}, t('hold.extend.why')), termFields(Date.now() + USUAL_REVIEW_MS, hold.ends),
  h('button', { type: 'submit' }, t('hold.extend.send'))));
}

function releaseForm(house, hold) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  return section(t('hold.release'), form({ id: 'release-hold' }, async (_, once) => {
    await postWithPassword(`/v1/holds/${hold.hold}/release`, { password: takePassword(password) }, { ...once, seen: hold.version });
    await house.refresh(t('hold.release.done'));
  }, h('p', {}, t('hold.release.why')), passwordLine, h('button', { type: 'submit', class: 'grave' }, t('hold.release.send'))));
}

/// What an officer may do to a hold that stands: nobody confirms or ends their own.
function actions(house, hold) {
  if (house.session.role !== 'officer' || hold.state === 'ended') return [];
  if (hold.owner === house.session.account) return [note(t('hold.own')), extendForm(house, hold)];
  return [hold.state === 'ordered' && confirmForm(house, hold), extendForm(house, hold), releaseForm(house, hold)].filter(Boolean);
}

async function onePage(house) {
  const [hold, cameras, names] = await Promise.all([
    get(`/v1/holds/${encodeURIComponent(house.path[1])}`), readCameras(), accountNames(house.session),
  ]);
  return [
    h('p', { class: 'back' }, h('a', { href: '#/holds' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('hold.title', { number: hold.hold })), refreshButton(house)),
    h('div', { class: 'columns' },
      h('div', {}, section(t('hold.facts'), facts([
        [t('col.state'), stateMark(hold)],
        [t('hold.reason'), word('hold.reason', hold.reason)],
        [t('hold.text'), hold.text && h('span', { class: 'said' }, hold.text)],
        [t('col.cameras'), h('ul', { class: 'bare' }, hold.cameras.map((number) => h('li', {}, cameraText(cameras, number))))],
        [t('col.span'), spanText(hold.span)],
        [t('hold.owner'), personText(hold.owner, names)],
        [t('hold.approver'), personText(hold.approver, names)],
        [t('hold.placed'), pointText(hold.placed)],
        [t('hold.review'), hold.state !== 'ended' && reviewText(hold)],
        [t('hold.ends'), hold.ends && pointText(hold.ends)],
        [t('hold.ended'), hold.ended && `${word('hold.end', hold.end)} ${pointText(hold.ended)}`],
      ]))),
      h('div', {}, actions(house, hold))),
  ];
}

export function holdsPage(house) {
  if (house.path[1] === 'new') return newPage(house);
  return house.path[1] ? onePage(house) : listPage(house);
}
