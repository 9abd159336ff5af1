// ZITADEL's own client, pointed at zproxy. It wants a token and gets a word:
// zproxy puts the service user's token in its place.
import { createServerTransport } from "@zitadel/client/node";
import { createUserServiceClient } from "@zitadel/client/v2";

const transport = createServerTransport("zproxy-has-it", {
  baseUrl: process.env.ZPROXY_URL ?? "http://127.0.0.1:8080",
});
const users = createUserServiceClient(transport);

const { result } = await users.listUsers({});
for (const user of result) {
  console.log(user.userId, user.username);
}

try {
  await users.deleteUser({ userId: result[0].userId });
  process.exitCode = 1; // no rule allows it
} catch (error) {
  console.log("refused:", error.message);
}
