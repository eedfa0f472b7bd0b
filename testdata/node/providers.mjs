// npm emulate's GitHub and Google, with alice and bob and, first, somebody whom every unknown token would
// become: if that decoy ever shows, a token was lost or mixed up on the way.
//
//   node providers.mjs ORIGIN
//
// ORIGIN is where our callbacks are. It reports {"github": URL, "google": URL} once both listen.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createEmulator } from 'emulate';

const [origin] = process.argv.slice(2);
const people = ['alice', 'bob'];
const decoy = 'zz-unknown-token';

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
};

const calendar = (name) => ({ id: 'primary', user_email: `${name}@example.com`, summary: name, primary: true, selected: true, time_zone: 'Europe/Berlin' });
const event = (name) => ({
  id: `only${name}`, user_email: `${name}@example.com`, calendar_id: 'primary', summary: `Only for ${name}`,
  start_date_time: '2030-05-06T09:00:00.000Z', end_date_time: '2030-05-06T10:00:00.000Z',
});

const seeds = {
  github: {
    users: [decoy, ...people].map((login) => ({ login, name: login, email: `${login}@example.com` })),
    repos: people.map((owner) => ({ owner, name: `${owner}-repo`, auto_init: true })),
    oauth_apps: [{ client_id: 'gh-client', client_secret: 'gh-secret', name: 'Latchkey', redirect_uris: [`${origin}/callback/github`] }],
  },
  google: {
    users: [decoy, ...people].map((name) => ({ email: `${name}@example.com`, name })),
    oauth_clients: [{ client_id: 'go-client', client_secret: 'go-secret', redirect_uris: [`${origin}/callback/google`] }],
    calendars: people.map(calendar),
    calendar_events: people.map(event),
  },
};

const start = async (service) => {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}`;
  await createEmulator({ service, port, baseUrl, seed: { [service]: seeds[service] } });
  return baseUrl;
};

process.stdout.write(JSON.stringify({ github: await start('github'), google: await start('google') }) + '\n');
