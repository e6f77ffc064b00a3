import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.util.Set;

/** Verifies an access token with Nimbus, as Spring does. Arguments: key set, token, issuer, audience. Prints the claims. */
public final class Verify {
    public static void main(String[] arguments) throws Exception {
        DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
        processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWSKeySelector(
                new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, new ImmutableJWKSet<>(JWKSet.parse(arguments[0]))));
        JWTClaimsSet exact = new JWTClaimsSet.Builder().issuer(arguments[2]).build();
        Set<String> required = Set.of("sub", "iat", "exp", "jti", "client_id");
        processor.setJWTClaimsSetVerifier(new DefaultJWTClaimsVerifier<>(arguments[3], exact, required));
        System.out.println(processor.process(arguments[1], null));
    }
}
