// A whole MCP client from npm @modelcontextprotocol/client, driven by a test: it discovers, registers,
// waits for a person to sign in, calls one tool, and reports what it sees as one JSON object a line.
//
//   node client.mjs URL auto|legacy url|form|plain accept|decline TOOL ARGUMENTS
//
// "auto" negotiates the newest protocol revision, "legacy" is the library's default. "url" declares
// URL elicitation, "form" declares forms, and ticks their box, "plain" declares nothing. A line {"open": URL} asks the test to open URL in a browser.
import { createServer } from 'node:http';
import { once } from 'node:events';
import {
  Client, StreamableHTTPClientTransport, UnauthorizedError, UrlElicitationRequiredError,
} from '@modelcontextprotocol/client';

const [url, era, elicitation, answer, tool, args] = process.argv.slice(2);
const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

const listener = createServer();
listener.listen(0, '127.0.0.1');
await once(listener, 'listening');
const redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;
const callback = new Promise((resolve) => listener.on('request', (request, response) => {
  response.end('You can go back to the client now.');
  const at = new URL(request.url, redirectUrl);
  if (at.pathname === '/callback') resolve(at.searchParams);
}));

const kept = {};
const state = crypto.randomUUID();
const authProvider = {
  redirectUrl,
  clientMetadata: {
    client_name: 'Real client', redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
  },
  state: () => state,
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  saveDiscoveryState: (discovery) => { kept.discovery = discovery; },
  discoveryState: () => kept.discovery,
  redirectToAuthorization: (to) => say({ open: to.href, why: 'authorize' }),
};

const newClient = () => {
  const client = new Client({ name: 'real-client', version: '1.0.0' }, {
    capabilities: elicitation === 'plain' ? {} : { elicitation: { [elicitation]: {} } },
    ...(era === 'auto' && { versionNegotiation: { mode: 'auto' } }),
  });
  if (elicitation === 'url') {
    client.setRequestHandler('elicitation/create', async (request) => {
      say({ open: request.params.url, why: 'elicitation', message: request.params.message });
      return { action: answer };
    });
  }
  if (elicitation === 'form') {
    client.setRequestHandler('elicitation/create', async (request) => {
      say({ form: request.params.message });
      return answer === 'accept' ? { action: answer, content: { approve: true } } : { action: answer };
    });
  }
  return client;
};

const connect = async () => {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider });
  const client = newClient();
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const params = await callback;
    if (params.get('state') !== state) throw new Error('the state is another one');
    await transport.finishAuth(params);
    return null;
  }
};

const call = async (client) => {
  try {
    const result = await client.callTool({ name: tool, arguments: JSON.parse(args) });
    return { result };
  } catch (error) {
    if (!(error instanceof UrlElicitationRequiredError)) throw error;
    return { elicitations: error.elicitations };
  }
};

const main = async () => {
  const client = (await connect()) ?? (await connect());
  const { tools } = await client.listTools();
  say({ tools: tools.map(({ name }) => name), version: client.getNegotiatedProtocolVersion?.() });
  // After a link, the test opens it and then says "again" on our standard input.
  let outcome = await call(client);
  say(outcome);
  for await (const line of process.stdin.setEncoding('utf8')) {
    if (line.trim() !== 'again') break;
    outcome = await call(client);
    say(outcome);
  }
  await client.close();
};

try {
  await main();
  process.exit(0);
} catch (error) {
  say({ failed: `${error?.name}: ${error?.message}` });
  process.exit(1);
}
