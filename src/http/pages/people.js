// Accounts, for officers: who asks, who approves, who leaves; and what happened to each.

import { get, post } from './api.js';
import { facts, field, form, h, heading, note, section, select, table, typed } from './dom.js';
import { t, word } from './words.js';
import { fromLocalInput, pointText, zoneText } from './times.js';
import { refreshButton } from './cameras.js';
import { passwordField, postWithPassword, takePassword } from './password.js';

const ROLES = ['staff', 'officer', 'viewer', 'auditor', 'installer'];

function termsText(terms) {
  if (!terms?.role) return '–';
  const parts = [word('role', terms.role)];
  if (terms.cameras) parts.push(t('people.of-cameras', { cameras: terms.cameras.join(', ') }));
  if (terms.ends) parts.push(t('people.until', { when: pointText(terms.ends) }));
  return parts.join(' · ');
}

function standingMark(one) {
  return h('span', { class: `state standing-${one.standing}` }, word('standing', one.standing));
}

/// Role, cameras and end; the same for a new account and for a change.
function termFields(terms) {
  return [
    field(t('people.role'), select('role', ROLES.map((role) => [role, word('role', role)]), terms?.role)),
    field(t('people.cameras'), h('input', { name: 'cameras', inputmode: 'numeric', value: terms?.cameras?.join(', ') ?? '' }),
      { optional: true, hint: t('people.cameras.hint') }),
    field(t('people.ends'), h('input', { type: 'datetime-local', name: 'ends', step: '1' }),
      { optional: true, hint: t('new.zone', { zone: zoneText() }) }),
    field(t('people.reason'), h('input', { name: 'reason' }), { hint: t('people.reason.hint') }),
  ];
}

function readTerms(element) {
  const cameras = typed(element, 'cameras');
  const ends = typed(element, 'ends');
  return {
    role: element.elements.role.value,
    cameras: cameras === null ? null : cameras.split(/[\s,]+/).filter(Boolean).map(Number),
    ends: ends === null ? null : fromLocalInput(ends),
    reason: typed(element, 'reason'),
  };
}

/// The code is shown this once.
function codePage(told, title) {
  return [
    h('p', { class: 'back' }, h('a', { href: '#/people' }, `← ${t('back')}`)),
    heading(title),
    section(t('people.code'),
      h('p', {}, t('people.code.why', { name: told.account.name })),
      h('p', { class: 'digest' }, h('code', { id: 'one-time-code' }, told.code)),
      told.ended.length > 0 && h('p', {}, t('people.ended', { requests: told.ended.map((one) => one.request).join(', ') }))),
  ];
}

function showInstead(content) {
  document.getElementById('main').replaceChildren(...content.flat().filter(Boolean));
  document.querySelector('main h1').focus();
}

async function listPage(house) {
  const { accounts } = await get('/v1/accounts');
  const officer = house.session.role === 'officer';
  const stay = accounts.filter((one) => one.role === 'officer' && one.standing === 'active' && !one.terms?.ends);
  return [
    h('div', { class: 'title' }, heading(t('people.title')),
      officer && h('a', { class: 'button main', href: '#/people/new' }, t('people.new')), refreshButton(house)),
    stay.length < 2 && note(t('people.no-deputy'), 'warning'),
    table(t('people.all'), [
      [t('col.number'), (one) => h('a', { href: `#/people/${one.account}`, class: 'row-link', 'aria-label': t('people.one', { name: one.name }) }, String(one.account)), 'number'],
      [t('people.name'), (one) => one.name || '–'],
      [t('col.state'), standingMark],
      [t('people.rights'), (one) => termsText(one.terms ?? one.wanted)],
      [t('people.waits'), (one) => (one.wanted || one.standing === 'waits-for-approval' || one.seals_wanted ? t('people.waits.approval') : '–')],
    ], accounts),
  ].filter(Boolean);
}

function newPage(house) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  return [
    h('p', { class: 'back' }, h('a', { href: '#/people' }, `← ${t('back')}`)),
    heading(t('people.new')),
    form({ id: 'new-account', class: 'card', autocomplete: 'off' }, async (element, once) => {
      const told = await postWithPassword('/v1/accounts', {
        name: typed(element, 'name'), ...readTerms(element), password: takePassword(password),
      }, once);
      showInstead(codePage(told, t('people.new.done')));
    },
    h('p', {}, t('people.new.why')),
    field(t('signin.name'), h('input', { name: 'name', autocapitalize: 'none', spellcheck: 'false' })),
    termFields(null), passwordLine,
    h('button', { type: 'submit', class: 'main' }, t('people.new.send'))),
  ];
}

/// A form with a password, and a reason where one is wanted, that does one thing.
function actForm(house, one, act, { reason = true, grave = false, done }) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  return section(t(`people.${act}`), form({ id: `${act}-account` }, async (element, once) => {
    const told = await postWithPassword(`/v1/accounts/${one.account}/${act}`, {
      ...(reason ? { reason: typed(element, 'reason') } : {}), password: takePassword(password),
    }, { ...once, seen: one.version });
    if (told.code) showInstead(codePage(told, t('people.reset.done')));
    else await house.refresh(done);
  },
  h('p', {}, t(`people.${act}.why`)),
  reason && field(t('people.reason'), h('input', { name: 'reason' }), { hint: t('people.reason.hint') }),
  passwordLine, h('button', { type: 'submit', class: grave ? 'grave' : 'main' }, t(`people.${act}.send`))));
}

function changeForm(house, one) {
  const [password, passwordLine] = passwordField(house, t('hold.password'));
  return section(t('people.change'), form({ id: 'change-account' }, async (element, once) => {
    await postWithPassword(`/v1/accounts/${one.account}/change`, { ...readTerms(element), password: takePassword(password) }, { ...once, seen: one.version });
    await house.refresh(t('people.change.done'));
  }, h('p', {}, t('people.change.why')), termFields(one.terms), passwordLine,
  h('button', { type: 'submit' }, t('people.change.send'))));
}

function withdrawForm(house, one) {
  return section(t('people.withdraw'), form({ id: 'withdraw-account' }, async (element, once) => {
    await post(`/v1/accounts/${one.account}/withdrawal`, { reason: typed(element, 'reason') }, null, { ...once, seen: one.version });
    await house.refresh(t('people.withdraw.done'));
  }, field(t('people.reason'), h('input', { name: 'reason' }), { hint: t('people.reason.hint') }),
  h('button', { type: 'submit' }, t('people.withdraw.send'))));
}

/// What an officer may do about somebody: nobody decides about themselves, nor approves what they asked for.
function actions(house, one) {
  const own = one.account === house.session.account;
  if (house.session.role !== 'officer') return [];
  if (own) return [note(t('people.own'))];
  if (one.standing === 'removed') return [];
  const waits = one.standing === 'waits-for-approval' || (one.standing === 'active' && (one.wanted || one.seals_wanted));
  const asked = one.wanted?.by === house.session.account;
  return [
    waits && (asked ? note(t('people.asked')) : actForm(house, one, 'approval', { reason: false, done: t('people.approval.done') })),
    one.wanted && withdrawForm(house, one),
    one.standing === 'active' && !one.wanted && changeForm(house, one),
    actForm(house, one, 'reset', {}),
    actForm(house, one, 'removal', { grave: true, done: t('people.removal.done') }),
  ].filter(Boolean);
}

async function onePage(house) {
  const number = Number(house.path[1]);
  const [{ accounts }, { events }] = await Promise.all([
    get('/v1/accounts'), get(`/v1/accounts/${encodeURIComponent(house.path[1])}/history`),
  ]);
  const one = accounts.find((known) => known.account === number);
  const names = new Map(accounts.map((known) => [known.account, known.name]));
  const who = (account) => (account === null ? '–' : names.get(account) ?? String(account));
  return [
    h('p', { class: 'back' }, h('a', { href: '#/people' }, `← ${t('back')}`)),
    h('div', { class: 'title' }, heading(t('people.one', { name: one.name })), refreshButton(house)),
    h('div', { class: 'columns' },
      h('div', {}, section(t('people.rights'), facts([
        [t('col.state'), standingMark(one)],
        [t('people.in-force'), one.terms && termsText(one.terms)],
        [t('people.wanted'), one.wanted && `${termsText(one.wanted)}, ${who(one.wanted.by)}: ${one.wanted.reason}`],
        [t('people.code-until'), one.code_until && pointText(one.code_until)],
        [t('people.password-since'), one.password_since && pointText(one.password_since)],
        [t('people.second-factor'), one.has_second_factor ? t('yes') : t('no')],
      ])), table(t('people.history'), [
        [t('col.number'), (event) => String(event.row), 'number'],
        [t('ledger.when'), (event) => pointText(event.at)],
        [t('ledger.what'), (event) => word('rights', event.what)],
        [t('people.rights'), (event) => termsText(event)],
        [t('people.by'), (event) => [who(event.by), event.requester !== null && h('span', { class: 'remark' }, t('people.requester', { name: who(event.requester) }))]],
        [t('people.reason'), (event) => event.reason ?? '–', 'broad'],
      ], events)),
      h('div', {}, actions(house, one))),
  ];
}

export function peoplePage(house) {
  if (house.path[1] === 'new') return newPage(house);
  return house.path[1] ? onePage(house) : listPage(house);
}
