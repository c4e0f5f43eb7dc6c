// The password, asked again before an act that counts.

import { post, Problem } from './api.js';
import { field, h } from './dom.js';
import { t } from './words.js';

/// The account's name stands beside it unseen, so that a password store knows whose it is.
export function passwordField(house, hint) {
  const name = h('input', { type: 'text', autocomplete: 'username', value: house.session.name, hidden: true, readonly: true });
  const password = h('input', { type: 'password', name: 'password', autocomplete: 'current-password' });
  return [password, [name, field(t('decide.password'), password, { hint })]];
}

/// Takes the password out of the form before it goes anywhere.
export function takePassword(input) {
  const password = input.value;
  input.value = '';
  return password;
}

/// Sends what the password is asked for.
export async function postWithPassword(place, body) {
  try {
    return await post(place, body);
  } catch (problem) {
    // At sign-in the name could be wrong as well; here it is the password.
    if (problem instanceof Problem && problem.slug === 'wrong-credentials') problem.slug = 'wrong-password';
    throw problem;
  }
}
