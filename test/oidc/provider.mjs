// An OpenID Connect provider on a free port of this machine. It prints its issuer
// behind "at ", among whatever the package prints, and then waits for words on standard input:
//
//   rotate  signs with a new key from now on, and does not show the old one any more
//
// Anybody can log in under any name, and any client can register. Who is called guest
// is in no group, everybody else in data-eng. The resource that ends in /files gets
// opaque tokens, every other one JWTs. It ends with standard input.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../node/package.json', import.meta.url));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

let keys = 0;
const newKey = () => ({
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid: `key-${++keys}`, alg: 'RS256', use: 'sig',
});

const cookieKeys = [randomBytes(32).toString('base64url')];

const newProvider = issuer => {
  const provider = new Provider(issuer, {
    jwks: { keys: [newKey()] },
    cookies: { keys: cookieKeys },
    clients: [
      {
        client_id: 'inspector', application_type: 'native', token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code'], redirect_uris: ['http://127.0.0.1/callback'],
      },
      {
        client_id: 'nightly', client_secret: 'a secret of the nightly job',
        grant_types: ['client_credentials'], response_types: [], redirect_uris: [],
      },
      { client_id: 'gatehouse', client_secret: 'a secret of: the gateway', grant_types: [], response_types: [], redirect_uris: [] },
    ],
    scopes: ['openid', 'offline_access', 'mcp', 'read'],
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_, token) => token.accountId && { groups: token.accountId === 'guest' ? [] : ['data-eng'], email: `${token.accountId}@example.com` },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'gatehouse' },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: 'mcp read', audience: resource, accessTokenTTL: 300,
          ...(resource.endsWith('/files') ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
        }),
      },
    },
  });
  for (const event of ['registration_create', 'authorization', 'grant']) {
    provider.on(`${event}.error`, (_, error) => console.error(`${event}: ${error.error_description ?? error}`));
  }
  return provider.callback();
};

let handle;
const server = createServer((request, response) => handle(request, response));
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handle = newProvider(issuer);
  console.log(`at ${issuer}`);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', word => {
    if (word === 'rotate') {
      handle = newProvider(issuer);
      console.log('rotated');
    }
  });
  lines.on('close', () => process.exit(0));
});
