// npm oidc-provider as an authorization server that knows nothing of Latchkey but what its operator would
// tell any such server: a resource (RFC 8707) and one confidential OpenID client for the pages.
//
//   node issuer.mjs RESOURCE PAGES_REDIRECT_URI
//
// It reports {"issuer": URL} once it listens. Anybody signs in under any name, on its development page.
import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';
import { exportJWK, generateKeyPair } from 'jose';

const [resource, pagesRedirect] = process.argv.slice(2);
const server = createServer();
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const issuer = `http://127.0.0.1:${server.address().port}`;

const signing = async (alg, kid) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, kid, use: 'sig' };
};

const provider = new Provider(issuer, {
  jwks: { keys: [await signing('RS256', 'now'), await signing('ES256', 'other')] },
  clients: [{
    client_id: 'pages', client_secret: 'pages-secret-of-the-test', redirect_uris: [pagesRedirect],
    grant_types: ['authorization_code'], response_types: ['code'],
  }],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, name: sub }) }),
  claims: { openid: ['sub'], profile: ['name'] },
  scopes: ['openid', 'profile', 'offline_access', 'tools:read', 'tools:write'],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  clientBasedCORS: () => true,
  features: {
    devInteractions: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, asked) => {
        if (asked !== resource) throw new errors.InvalidTarget();
        return {
          audience: resource, scope: 'tools:read tools:write', accessTokenTTL: 300,
          accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
  },
});
server.on('request', provider.callback());
process.stdout.write(JSON.stringify({ issuer }) + '\n');
