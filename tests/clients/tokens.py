"""Access tokens as PyJWT sees them: checks a real one, and forges others.

`key EdDSA` and `key ES256` write a new key as PEM. `forge` reads `{token, key, jwks}` and writes `{claims, forged}`: what the token
says once it is verified with the key set, and the forgeries by name.
"""

import base64
import hashlib
import hmac
import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def signed_with_hmac(header, claims, secret):
    """PyJWT refuses to take a public key for a secret; an attacker does not."""
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def generate(algorithm):
    return Ed25519PrivateKey.generate() if algorithm == "EdDSA" else ec.generate_private_key(ec.SECP256R1())


def forge(token, pem, jwks):
    kid = jwt.get_unverified_header(token)["kid"]
    alg = jwt.get_unverified_header(token)["alg"]
    other_alg = {"EdDSA": "ES256", "ES256": "EdDSA"}[alg]
    algorithm_of = jwt.algorithms.get_default_algorithms()[alg]
    key = jwt.PyJWKSet.from_dict(jwks)[kid]
    unverified = jwt.decode(token, options={"verify_signature": False})
    claims = jwt.decode(
        token,
        key,
        algorithms=[alg],
        audience=unverified["aud"],
        issuer=unverified["iss"],
        options={"require": ["iss", "aud", "sub", "sid", "iat", "nbf", "exp", "jti", "client_id"]},
    )

    ours = load_pem_private_key(pem.encode(), None)
    other = generate(alg)
    public = ours.public_key()
    if alg == "EdDSA":
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        assert b64(raw) == jwks["keys"][0]["x"]
    else:
        raw = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert b64(raw[1:33]) == jwks["keys"][0]["x"]
    spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    their_jwk = json.loads(algorithm_of.to_jwk(other.public_key()))
    now = int(time.time())

    def made(changes=None, key=ours, algorithm=alg, without=(), **header):
        body = {**claims, **(changes or {})}
        for name in without:
            del body[name]
        return jwt.encode(body, key, algorithm=algorithm, headers={"kid": kid, "typ": "at+jwt", **header})

    def hmac_with(secret):
        return signed_with_hmac({"alg": "HS256", "typ": "at+jwt", "kid": kid}, claims, secret)

    head, body, signature = token.split(".")
    nameless = b64(json.dumps({"alg": alg}).encode())
    forged = {
        # Nothing forged about it: if this one were refused, the others would prove nothing.
        "accepted: made anew with the right key": made(),
        "token_algorithm: none": made(algorithm="none", key=None),
        "token_malformed: none in other letters": f"{b64(json.dumps({'alg': 'nOnE', 'kid': kid}).encode())}.{body}.",
        "token_algorithm: HS256 with the public key's octets": hmac_with(raw),
        "token_algorithm: HS256 with the public key's PEM": hmac_with(spki),
        "token_algorithm: HS256 with the public key as in the key set": hmac_with(b64(raw).encode()),
        "token_algorithm: HS256 with no secret": hmac_with(b""),
        "token_algorithm: the other one": made(key=generate(other_alg), algorithm=other_alg),
        "token_algorithm: RS256": made(key=rsa.generate_private_key(65537, 2048), algorithm="RS256"),
        "token_signature: another key under our name": made(key=other),
        "token_malformed: another key that comes along": made(key=other, jwk=their_jwk),
        "token_signature: no signature": f"{head}.{body}.",
        "token_signature: a signature of something else": f"{head}.{made({'exp': now + 99}).split('.')[1]}.{signature}",
        "token_malformed: another key under its own name": made(key=other, kid="theirs", jwk=their_jwk),
        "token_malformed: another key at an address": made(key=other, kid="theirs", jku="http://127.0.0.1:1/"),
        "token_unknown_key: a path": made(kid="../../../../../../dev/null"),
        "token_unknown_key: our name as a path": made(kid=f"./{kid}"),
        "token_unknown_key: SQL": made(kid="' UNION SELECT 'key"),
        "token_unknown_key: an empty name": made(kid=""),
        "token_malformed: no name": f"{nameless}.{body}.{b64(algorithm_of.sign(f'{nameless}.{body}'.encode(), ours))}",
        "token_expired: an hour ago": made({"exp": now - 3600}),
        "token_expired: a moment ago": made({"exp": now - 1}),
        "token_not_yet: in an hour": made({"nbf": now + 3600}),
        "token_wrong_party: another audience": made({"aud": "somebody else"}),
        "token_wrong_party: another issuer": made({"iss": "somebody else"}),
        "token_wrong_party: ours with a slash": made({"iss": claims["iss"] + "/"}),
        "session_ended: no such session": made({"sid": "00000000-0000-4000-8000-000000000000"}),
        "session_ended: somebody else's session": made({"sub": "00000000-0000-4000-8000-000000000000"}),
        "token_malformed: an id that is none": made({"sub": "1"}),
        "token_malformed: three letters": "a.b.c",
        "token_signature: not three parts": f"{token}.{signature}",
        "token_malformed: longer than any of ours": made({"more": "x" * 3000}),
    }
    for name in ["iss", "aud", "sub", "sid", "nbf", "exp", "jti", "client_id"]:
        forged[f"token_malformed: without {name}"] = made(without=[name])
    return {"claims": claims, "forged": forged}


if sys.argv[1] == "key":
    pem = generate(sys.argv[2]).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    json.dump(pem.decode(), sys.stdout)
else:
    given = json.load(sys.stdin)
    json.dump(forge(given["token"], given["key"], given["jwks"]), sys.stdout)
