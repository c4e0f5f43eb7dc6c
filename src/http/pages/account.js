// One's own account: the password, the second factor, and where one is signed in.

import { get, post, remove } from './api.js';
import { facts, field, form, h, heading, note, section, table, typed } from './dom.js';
import { t, word } from './words.js';
import { pointText } from './times.js';
import { codeField, passwordField, postWithPassword, takePassword } from './password.js';

/// Fields for a new password, typed twice.
export function newPasswordFields() {
  const input = (name) => h('input', { type: 'password', name, autocomplete: 'new-password', minlength: '10' });
  const [first, second] = [input('new-password'), input('again')];
  second.addEventListener('input', () => second.setCustomValidity(''));
  const take = () => {
    if (first.value !== second.value) {
      second.setCustomValidity(t('account.differ'));
      second.reportValidity();
      return null;
    }
    second.value = '';
    return takePassword(first);
  };
  return [take, [field(t('account.new'), first, { hint: t('account.new.hint') }), field(t('account.again'), second)]];
}

function passwordForm(house) {
  const [password, passwordLine] = passwordField(house, null);
  const [take, lines] = newPasswordFields();
  return section(t('account.password'), form({ id: 'change-password' }, async () => {
    const next = take();
    if (next === null) return;
    await postWithPassword('/v1/session/password', { name: house.session.name, password: takePassword(password), new_password: next });
    await house.refresh(t('account.password.done'));
  }, passwordLine, lines, h('button', { type: 'submit', class: 'main' }, t('account.password.send'))));
}

async function secondFactorForm(house) {
  const told = await get('/v1/account/second-factor');
  const [password, passwordLine] = passwordField(house, null);
  const code = h('input', { name: 'app-code', inputmode: 'numeric', autocomplete: 'off', pattern: '[0-9]{6}' });
  const card = section(t('account.second'), form({ id: 'set-second-factor' }, async () => {
    const set = await postWithPassword('/v1/account/second-factor', { secret: told.secret, code: code.value.trim(), password: takePassword(password) });
    Object.assign(house.session, { must_set_second_factor: false, has_second_factor: true });
    card.replaceChildren(
      h('h2', {}, t('account.recovery')),
      h('p', {}, t('account.recovery.why')),
      h('ul', { class: 'bare', id: 'recovery-codes' }, set.recovery_codes.map((one) => h('li', {}, h('code', {}, one)))),
      h('button', { type: 'button', class: 'main', onclick: () => house.go('account', t('account.second.done')) }, t('account.recovery.kept')));
  },
  h('p', {}, t('account.second.why')),
  h('p', { class: 'digest' }, h('code', { id: 'secret' }, told.secret)),
  h('p', {}, h('a', { class: 'button', href: told.uri }, t('account.second.open'))),
  field(t('account.second.code'), code), passwordLine,
  h('button', { type: 'submit', class: 'main' }, t('account.second.send'))));
  return card;
}

function sessionsTable(house, sessions) {
  return table(t('account.sessions'), [
    [t('people.name'), (one) => one.name],
    [t('account.address'), (one) => one.address],
    [t('account.began'), (one) => pointText(one.began)],
    [t('account.end'), (one) => (one.is_own ? t('account.this') : h('button', {
      type: 'button',
      onclick: async () => {
        await remove(`/v1/sessions/${one.session}`);
        await house.refresh(t('account.ended'));
      },
    }, t('account.end')))],
  ], sessions);
}

export async function accountPage(house) {
  const must = house.session.must_set_second_factor;
  const title = heading(t('account.title'));
  if (must) return [title, note(t('account.must')), await secondFactorForm(house)];
  const [{ sessions }, { events }] = await Promise.all([
    get('/v1/sessions'), get(`/v1/accounts/${house.session.account}/history`),
  ]);
  const last = (what) => events.filter((event) => event.what === what).at(-1);
  return [
    title,
    section(t('account.facts'), facts([
      [t('signin.name'), house.session.name],
      [t('people.role'), word('role', house.session.role)],
      [t('people.second-factor'), last('second-factor-set') ? pointText(last('second-factor-set').at) : t('no')],
    ])),
    h('div', { class: 'columns' }, h('div', {}, passwordForm(house)), h('div', {}, await secondFactorForm(house))),
    sessionsTable(house, sessions),
  ];
}

/// The first password, with the one-time code.
export function firstPasswordForm(done) {
  const [take, lines] = newPasswordFields();
  return form({ class: 'card', id: 'first-password' }, async (element) => {
    const next = take();
    if (next === null) return;
    await post('/v1/session/first', { name: typed(element, 'name'), code: typed(element, 'code'), password: next });
    done(t('first.done'));
  },
  h('p', {}, t('first.why')),
  field(t('signin.name'), h('input', { name: 'name', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' })),
  field(t('first.code'), h('input', { name: 'code', autocomplete: 'off', autocapitalize: 'characters', spellcheck: 'false' })),
  lines, h('button', { type: 'submit', class: 'main' }, t('first.send')));
}

/// The next password of somebody whose old one is too old to sign in with.
export function renewalForm(done) {
  const [take, lines] = newPasswordFields();
  const password = h('input', { type: 'password', name: 'password', autocomplete: 'current-password' });
  return form({ class: 'card', id: 'renew-password' }, async (element) => {
    const next = take();
    if (next === null) return;
    await postWithPassword('/v1/session/password', { name: typed(element, 'name'), password: takePassword(password), new_password: next });
    done(t('account.password.done'));
  },
  field(t('signin.name'), h('input', { name: 'name', autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false' })),
  // The code comes last: a text field between two passwords is two forms to a password manager.
  field(t('signin.password'), password), lines, codeField(),
  h('button', { type: 'submit', class: 'main' }, t('account.password.send')));
}
