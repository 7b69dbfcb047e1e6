// The certified provider (npm oidc-provider) with one client and one person. Prints its port when it listens.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [redirectUri, afterLogout, clientSecret] = process.argv.slice(2);
const server = createServer().listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{
      client_id: 'fairgate',
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      post_logout_redirect_uris: [afterLogout],
    }],
    pkce: { required: () => true },
    claims: {
      openid: ['sub'],
      profile: ['preferred_username', 'name', 'affiliation'],
      email: ['email', 'email_verified'],
    },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        preferred_username: id,
        email: `${id}@example.org`,
        email_verified: id !== 'eve',
        affiliation: ['student@example.org'],
      }),
    }),
  });
  server.on('request', provider.callback());
  console.log(`port ${port}`);
});
