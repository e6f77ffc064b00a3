// A user service in Go, as its usual libraries make it: chi, pgx, golang-jwt, client_golang, slog, OpenTelemetry.
package main

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const selectCaller = `SELECT users.id, email, name, role, version, users.created_at, updated_at,
sessions.created_at AS signed_in_at
FROM sessions JOIN users ON users.id = sessions.user_id
WHERE sessions.id = $1 AND expires_at > $2`

type service struct {
	pool   *pgxpool.Pool
	key    ed25519.PublicKey
	parser *jwt.Parser
}

type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
}

type user struct {
	ID         string    `json:"id"`
	Email      string    `json:"email"`
	Name       string    `json:"name"`
	Role       string    `json:"role"`
	Version    int64     `json:"-"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	SignedInAt time.Time `json:"-"`
}

func main() {
	ctx := context.Background()
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))

	key, err := base64.RawURLEncoding.DecodeString(os.Getenv("TOKEN_KEY"))
	if err != nil {
		log.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	maxConnections, err := strconv.ParseInt(os.Getenv("MAX_CONNECTIONS"), 10, 32)
	if err != nil {
		log.Fatal(err)
	}
	config.MaxConns = int32(maxConnections)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	tracing, err := startTracing(ctx)
	if err != nil {
		log.Fatal(err)
	}

	s := &service{pool: pool, key: key, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA"}),
		jwt.WithIssuer("glasshouse"),
		jwt.WithAudience("glasshouse"),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(30*time.Second),
	)}
	router := chi.NewRouter()
	if tracing {
		router.Use(traceRequests)
	}
	router.Use(logRequests, measureRequests)
	router.Get("/api/v1/users/me", s.readOwn)
	router.Handle("/metrics", promhttp.Handler())
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), router))
}

// readOwn answers GET /api/v1/users/me: the caller's own account.
func (s *service) readOwn(w http.ResponseWriter, r *http.Request) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	caller, err := s.authenticate(r.Context(), token)
	switch {
	case errors.Is(err, errUnauthorized):
		http.Error(w, "unauthorized", http.StatusUnauthorized)
	case err != nil:
		slog.ErrorContext(r.Context(), "select caller", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(caller)
	}
}

var errUnauthorized = errors.New("unauthorized")

// authenticate checks the token's signature and claims, and that its session is the user's and has not ended.
func (s *service) authenticate(ctx context.Context, token string) (*user, error) {
	var c claims
	if _, err := s.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return s.key, nil }); err != nil {
		return nil, errUnauthorized
	}
	caller, err := observeStatement(ctx, "SELECT sessions", selectCaller, func(ctx context.Context) (*user, error) {
		rows, err := s.pool.Query(ctx, selectCaller, c.Session, time.Now())
		if err != nil {
			return nil, err
		}
		return pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByPos[user])
	})
	if errors.Is(err, pgx.ErrNoRows) || err == nil && caller.ID != c.Subject {
		return nil, errUnauthorized
	}
	return caller, err
}
