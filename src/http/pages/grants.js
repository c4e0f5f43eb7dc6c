// Grants: what an approval handed to one viewer, within which bounds, how it was used, and how an officer takes it back.

import { get, post } from './api.js';
import { facts, field, form, h, heading, note, section, select, table } from './dom.js';
import { t, word } from './words.js';
import { pointText, spanText } from './times.js';
import { refreshButton } from './cameras.js';

const GROUNDS = ['no-longer-needed', 'given-by-mistake', 'disputed', 'misused', 'compromised'];

export function grantMark(grant) {
  return h('span', { class: `state grant-${grant.state}` }, word('grants', grant.state));
}

function viewingsText(grant) {
  const begun = grant.viewings.length;
  const limit = grant.conditions.viewings;
  return limit ? t('grants.viewings.of', { begun, limit }) : t('grants.viewings.any', { begun });
}

/// What a decision bound a grant to, as pairs of name and text.
export function boundsOf(grant) {
  const { terminal, appointment, present, copy, masking } = grant.conditions;
  return [
    [t('grants.place'), terminal ?? t('grants.place.any')],
    [t('grants.appointment'), appointment ? spanText(appointment) : t('grants.appointment.none')],
    [t('grants.viewings'), viewingsText(grant)],
    [t('grants.ends'), pointText(grant.ends)],
    [t('grants.present'), t(present ? 'grants.present.yes' : 'grants.present.no')],
    [t('grants.copy'), t(copy ? 'grants.copy.yes' : 'grants.copy.no')],
    [t('grants.masking'), t(masking ? 'grants.masking.yes' : 'grants.masking.no')],
  ];
}

function endText(grant) {
  if (!grant.why_ended) return null;
  const { kind, ground } = grant.why_ended;
  return ground ? `${word('grant-end', kind)}: ${word('revocation', ground)}` : word('grant-end', kind);
}

export async function grantsPage(house) {
  const { grants } = await get('/v1/grants');
  const mine = house.session.role === 'viewer';
  const title = h('div', { class: 'title' }, heading(t(mine ? 'grants.mine' : 'grants.title')), refreshButton(house));
  if (grants.length === 0) return [title, note(t('grants.empty'))];
  const watch = (grant) => (grant.state === 'open'
    ? h('ul', { class: 'bare' }, grant.cameras.map((camera) => h('li', {},
      h('a', { class: 'button main', href: `#/grants/${grant.grant}/${camera}` }, t('grants.watch', { camera })))))
    : '–');
  const number = (grant) => h('a', { href: `#/grants/${grant.grant}`, class: 'row-link', 'aria-label': t('grants.one', { n: grant.grant }) }, String(grant.grant));
  return [title, table(t('nav.grants'), [
    [t('col.number'), number, 'number'],
    [t('col.state'), grantMark],
    [t('grants.request'), (grant) => String(grant.request), 'number'],
    [t('col.span'), (grant) => grant.span && spanText(grant.span)],
    [t('grants.place'), (grant) => grant.conditions.terminal ?? '–'],
    [t('grants.viewings'), viewingsText],
    [t('grants.ends'), (grant) => pointText(grant.ends)],
    mine ? [t('watch.title'), watch] : [t('grants.viewer'), (grant) => t('row.account', { n: grant.viewer })],
    ...(mine ? [] : [[t('col.cameras'), (grant) => grant.cameras.join(', ')]]),
  ], grants.toSorted((a, b) => b.grant - a.grant))];
}

function viewingState(viewing) {
  return viewing.ended ? `${pointText(viewing.ended)}: ${word('viewing-end', viewing.how)}` : t('viewing.under-way');
}

function seenText(viewing) {
  return viewing.seen.map((one) => `${t('viewing.camera', { camera: one.camera })}: ${spanText(one.span)}`).join('; ') || '–';
}

function viewingsTable(grant) {
  if (grant.viewings.length === 0) return note(t('viewing.none'));
  return table(t('grants.viewings'), [
    [t('col.number'), (viewing) => String(viewing.viewing), 'number'],
    [t('viewing.began'), (viewing) => pointText(viewing.began)],
    [t('viewing.ended'), viewingState],
    [t('grants.place'), (viewing) => viewing.terminal ?? '–'],
    [t('viewing.present'), (viewing) => t(viewing.present ? 'yes' : 'no')],
    [t('viewing.seen'), seenText, 'broad'],
  ], grant.viewings.toReversed());
}

/// At once, also while somebody watches. No words are taken: the ledger keeps none about persons.
function revokeForm(house, grant) {
  return section(t('revoke'), form({ id: 'revoke' }, async (element, once) => {
    await post(`/v1/grants/${grant.grant}/revocation`, { ground: element.elements.ground.value }, null, once);
    await house.refresh(t('revoke.done'));
  },
  h('p', {}, t('revoke.why')),
  field(t('revoke.ground'), select('ground', GROUNDS.map((ground) => [ground, word('revocation', ground)]))),
  h('button', { type: 'submit', class: 'grave' }, t('revoke.send'))));
}

export async function grantPage(house) {
  const { grants } = await get('/v1/grants');
  const grant = grants.find((one) => one.grant === Number(house.path[1]));
  const back = h('p', { class: 'back' }, h('a', { href: '#/grants' }, `← ${t('back')}`));
  if (!grant) return [back, heading(t('grants.title')), note(t('watch.unknown'), 'warning')];
  const officer = house.session.role === 'officer';
  return [
    back,
    h('div', { class: 'title' }, heading(t('grants.one', { n: grant.grant })), refreshButton(house)),
    section(t('grants.bounds'), facts([
      [t('col.state'), grantMark(grant)],
      [t('grants.why-ended'), endText(grant)],
      [t('grants.request'), grant.request],
      [t('grants.viewer'), officer && t('row.account', { n: grant.viewer })],
      ...grant.views.map((view) => [t('viewing.camera', { camera: view.camera }), spanText(view.span)]),
      ...boundsOf(grant),
    ])),
    viewingsTable(grant),
    officer && grant.state === 'open' && revokeForm(house, grant),
  ].filter(Boolean);
}
