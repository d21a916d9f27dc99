// The service worker, as a page sees it: registered, in control, and kept awake.

/** A worker without events is killed after some 30 seconds. */
export const PING_MS = 20_000;
const CONTROL_MS = 5_000;

/** Wait until a service worker controls this page; `null` if none can. */
export async function serviceWorker(script, scope, onRead) {
  const container = globalThis.navigator?.serviceWorker;
  if (!container || !globalThis.isSecureContext) return null;
  const hear = (event) => {
    const { data, ports } = event;
    if (data?.pop === 'read' && ports[0]) onRead({ ...data, port: ports[0] });
  };
  container.addEventListener('message', hear);
  container.startMessages();
  try {
    // The widest scope that the server allows for it, else its own folder.
    const registration = scope === undefined
      ? await container.register(script, { scope: '/' }).catch(() => container.register(script))
      : await container.register(script, { scope });
    if (!await controlled(container, registration)) return null;
    return {
      scope: registration.scope,
      ping: () => container.controller?.postMessage({ pop: 'ping' }),
      close: () => container.removeEventListener('message', hear),
    };
  } catch {
    container.removeEventListener('message', hear);
    return null;
  }
}

/** Active is not in control: not before it claims this page, which a hard reload undoes. */
function controlled(container, registration) {
  if (container.controller) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = setTimeout(() => resolve(Boolean(container.controller)), CONTROL_MS);
    container.addEventListener('controllerchange', () => {
      clearTimeout(end);
      resolve(true);
    }, { once: true });
    registration.active?.postMessage({ pop: 'claim' });
  });
}
