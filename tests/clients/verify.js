// Verifies an access token with node's jsonwebtoken. Arguments: the folder of the library, key set, token, issuer, audience.
// Prints the claims.
const { createPublicKey } = require("node:crypto");
const [folder, jwks, token, issuer, audience] = process.argv.slice(2);
const jsonwebtoken = require(`${folder}/jsonwebtoken`);

const { kid } = jsonwebtoken.decode(token, { complete: true }).header;
const jwk = JSON.parse(jwks).keys.find((key) => key.kid === kid);
const key = createPublicKey({ key: jwk, format: "jwk" });
console.log(JSON.stringify(jsonwebtoken.verify(token, key, { algorithms: [jwk.alg], issuer, audience })));
