// The password, asked again before an act that counts, and a code of the second factor with it.

import { post, Problem } from './api.js';
import { field, h } from './dom.js';
import { t } from './words.js';

/// A code by time, or a recovery code. Only who has a second factor needs one.
export function codeField() {
  const code = h('input', { name: 'code-of-second-factor', autocomplete: 'one-time-code', autocapitalize: 'none', spellcheck: 'false' });
  return field(t('signin.code'), code, { optional: true, hint: t('signin.code.hint') });
}

/// The account's name stands beside it unseen, so that a password store knows whose it is.
export function passwordField(house, hint) {
  const name = h('input', { type: 'text', autocomplete: 'username', value: house.session.name, hidden: true, readonly: true });
  const password = h('input', { type: 'password', name: 'password', autocomplete: 'current-password' });
  return [password, [name, field(t('decide.password'), password, { hint }), house.session.has_second_factor && codeField()]];
}

/// Takes the password out of the form before it goes anywhere.
export function takePassword(input) {
  const password = input.value;
  input.value = '';
  return password;
}

/// Takes the code that stands beside a password; null where there is none.
function takeCode() {
  const inputs = [...document.querySelectorAll('input[name=code-of-second-factor]')].filter((input) => input.value !== '');
  const code = inputs[0]?.value.trim() ?? null;
  inputs.forEach((input) => { input.value = ''; });
  return code;
}

/// Sends what the password is asked for.
export async function postWithPassword(place, body, more = {}) {
  try {
    return await post(place, body, takeCode(), more);
  } catch (problem) {
    // At sign-in the name could be wrong as well; here it is the password.
    if (problem instanceof Problem && problem.slug === 'wrong-credentials') problem.slug = 'wrong-password';
    throw problem;
  }
}
