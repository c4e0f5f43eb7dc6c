// A viewer's grants, and the page that plays one camera of one of them.

import { get } from './api.js';
import { facts, h, heading, note, problemBox, table } from './dom.js';
import { t, word } from './words.js';
import { clockText, pointText, spanText } from './times.js';
import { cameraText, readCameras, refreshButton } from './cameras.js';
import { Unplayable, openFootage } from './player.js';

function grantMark(grant) {
  return h('span', { class: `state grant-${grant.state}` }, word('grants', grant.state));
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
  return [title, table(t('nav.grants'), [
    [t('col.number'), (grant) => String(grant.grant), 'number'],
    [t('col.state'), grantMark],
    [t('grants.request'), (grant) => String(grant.request), 'number'],
    [t('col.span'), (grant) => grant.span && spanText(grant.span)],
    [t('grants.ends'), (grant) => pointText(grant.ends)],
    mine ? [t('watch.title'), watch] : [t('grants.viewer'), (grant) => t('row.account', { n: grant.viewer })],
    ...(mine ? [] : [[t('col.cameras'), (grant) => grant.cameras.join(', ')]]),
  ], grants.toSorted((a, b) => b.grant - a.grant))];
}

/// Plays into `video`, and says in `told` what hinders it.
function begin(house, video, told, clock, address) {
  const leaving = new AbortController();
  house.whenLeft(() => {
    leaving.abort();
    video.pause();
    video.removeAttribute('src');
    video.load();
  });
  const trouble = (problem) => {
    if (leaving.signal.aborted) return;
    told.replaceChildren(problem instanceof Unplayable ? note(t(`watch.${problem.why}`), 'warning') : problemBox(problem));
    told.dataset.state = 'trouble';
    // With nothing to show, an empty screen only confuses.
    video.parentElement.hidden = video.readyState === 0;
    clock.parentElement.hidden = video.parentElement.hidden;
  };
  told.replaceChildren(h('p', { class: 'loading', role: 'status' }, t('watch.loading')));
  video.addEventListener('loadeddata', () => {
    told.dataset.state = 'playing';
    told.querySelector('.loading')?.remove();
  });
  openFootage(video, address, leaving.signal, trouble).then((footage) => {
    const tell = () => {
      const at = footage.filmedAt(video.currentTime);
      clock.textContent = at === null ? '' : pointText(at);
    };
    video.addEventListener('timeupdate', tell);
    tell();
    told.append(...footage.gaps().map(([from, to]) => note(t('watch.gap', { from: clockText(from), to: clockText(to) }))));
  }, trouble);
}

export async function watchPage(house) {
  const [{ grants }, cameras] = await Promise.all([get('/v1/grants'), readCameras()]);
  const [number, camera] = house.path.slice(1).map(Number);
  const grant = grants.find((one) => one.grant === number);
  const view = grant?.views.find((one) => one.camera === camera);
  const back = h('p', { class: 'back' }, h('a', { href: '#/grants' }, `← ${t('back')}`));
  if (!view) return [back, heading(t('watch.title')), note(t('watch.unknown'), 'warning')];
  const name = cameraText(cameras, camera);
  const video = h('video', {
    controls: true, muted: true, playsinline: true, preload: 'auto', disablepictureinpicture: true, disableremoteplayback: true,
    controlslist: 'nodownload noremoteplayback', 'aria-label': t('watch.video', { camera: name }),
  });
  const told = h('div', { id: 'told', 'data-state': 'opening' });
  const clock = h('output', { id: 'filmed-at' });
  begin(house, video, told, clock, `/v1/grants/${number}/cameras/${camera}/playlist.m3u8`);
  return [
    back,
    heading(`${t('watch.title')}: ${name}`),
    h('p', { class: 'hint' }, t('watch.recorded')),
    told,
    h('div', { class: 'screen' }, video),
    h('p', { class: 'filmed' }, `${t('watch.clock')}: `, clock),
    grant.cameras.length > 1 && h('nav', { class: 'pages', 'aria-label': t('watch.cameras') }, grant.cameras.map((one) =>
      h('a', { class: 'button', href: `#/grants/${number}/${one}`, 'aria-current': one === camera && 'page' }, t('grants.watch', { camera: one })))),
    h('div', { class: 'card' }, facts([
      [t('request.granted'), spanText(view.span)],
      [t('grants.request'), grant.request],
      [t('grants.ends'), pointText(grant.ends)],
    ])),
  ].filter(Boolean);
}
