package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

var (
	requestDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_server_request_duration_seconds",
		Help: "Duration of requests.",
	}, []string{"method", "route", "status"})
	requestsInFlight = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "http_server_active_requests",
		Help: "Requests in flight.",
	})
	statementDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "db_client_operation_duration_seconds",
		Help: "Duration of statements.",
	}, []string{"statement"})

	tracer = otel.Tracer("peer")
)

// startTracing exports spans if OTEL_EXPORTER_OTLP_ENDPOINT is set, and reports whether it is.
func startTracing(ctx context.Context) (bool, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return false, nil
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return false, err
	}
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithBatcher(exporter)))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return true, nil
}

func traceRequests(next http.Handler) http.Handler {
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		route := chi.RouteContext(r.Context()).RoutePattern()
		span := oteltrace.SpanFromContext(r.Context())
		span.SetName(r.Method + " " + route)
		span.SetAttributes(attribute.String("http.route", route))
	})
	return otelhttp.NewHandler(named, "request")
}

func logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		response := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(response, r)
		slog.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method),
			slog.String("path", r.URL.Path),
			slog.String("remote", r.RemoteAddr),
			slog.String("user_agent", r.UserAgent()),
			slog.String("trace_id", oteltrace.SpanContextFromContext(r.Context()).TraceID().String()),
			slog.Int("status", response.Status()),
			slog.Int("bytes", response.BytesWritten()),
			slog.Duration("duration", time.Since(start)))
	})
}

func measureRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		requestsInFlight.Inc()
		defer requestsInFlight.Dec()
		response := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(response, r)
		route := chi.RouteContext(r.Context()).RoutePattern()
		requestDuration.WithLabelValues(r.Method, route, strconv.Itoa(response.Status())).
			Observe(time.Since(start).Seconds())
	})
}

// observeStatement runs a statement within a span, and records its duration.
func observeStatement[T any](
	ctx context.Context, name, sql string, run func(context.Context) (T, error),
) (T, error) {
	start := time.Now()
	ctx, span := tracer.Start(ctx, name, oteltrace.WithSpanKind(oteltrace.SpanKindClient), oteltrace.WithAttributes(
		attribute.String("db.system.name", "postgresql"), attribute.String("db.query.text", sql)))
	defer span.End()
	value, err := run(ctx)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	statementDuration.WithLabelValues(name).Observe(time.Since(start).Seconds())
	return value, err
}
