// The calls by which the Login V2 container signs somebody in by name and
// password, with the client and the headers that it uses, through a zproxy with
// the configuration of ../login-v2.
import { createServerTransport } from "@zitadel/client/node";
import {
  createOIDCServiceClient, createSessionServiceClient, createSettingsServiceClient, createUserServiceClient, makeReqCtx,
} from "@zitadel/client/v2";

const transport = createServerTransport("zproxy-has-it", {
  baseUrl: process.env.ZPROXY_URL ?? "http://127.0.0.1:8080",
  interceptors: [(next) => (call) => {
    call.header.set("x-zitadel-public-host", "login.example");
    call.header.set("x-zitadel-instance-host", "another.example");
    return next(call);
  }],
});
const settings = createSettingsServiceClient(transport);
const users = createUserServiceClient(transport);
const sessions = createSessionServiceClient(transport);
const oidc = createOIDCServiceClient(transport);
const [loginName, password, authRequestId] = ["alice@acme.example", "Password1!", "V2_1"];

await settings.getGeneralSettings({});
await settings.getLoginSettings({ ctx: makeReqCtx() });
await settings.getBrandingSettings({ ctx: makeReqCtx() });
await oidc.getAuthRequest({ authRequestId });
const { result } = await users.listUsers({ queries: [{ query: { case: "loginNameQuery", value: { loginName } } }] });
const { userId } = result[0];
await users.listAuthenticationMethodTypes({ userId });
const { sessionId, sessionToken } = await sessions.createSession({ checks: { user: { search: { case: "userId", value: userId } } } });
await sessions.setSession({ sessionId, sessionToken, checks: { password: { password } } });
await sessions.getSession({ sessionId, sessionToken });
await oidc.createCallback({ authRequestId, callbackKind: { case: "session", value: { sessionId, sessionToken } } });
console.log("signed in:", loginName);

try {
  await users.addPersonalAccessToken({ userId });
  process.exitCode = 1; // a login has no need of it
} catch (error) {
  console.log("refused:", error.message);
}
