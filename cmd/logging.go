package cmd

import (
	"fmt"
	"io"

	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// newLogger returns a logger that writes one JSON object a line. The level is error, info or debug.
func newLogger(level string, w io.Writer) (logr.Logger, error) {
	var least zapcore.Level
	switch level {
	case "error":
		least = zapcore.ErrorLevel
	case "info":
		least = zapcore.InfoLevel
	case "debug":
		least = zapcore.DebugLevel
	default:
		return logr.Logger{}, fmt.Errorf("log level must be error, info or debug, not %q", level)
	}
	return zap.New(
		zap.UseDevMode(false),
		zap.Level(uberzap.NewAtomicLevelAt(least)),
		zap.WriteTo(w),
		// An error says what failed, by wrapping; where in the libraries that was helps nobody.
		zap.StacktraceLevel(zapcore.PanicLevel),
		zap.JSONEncoder(func(c *zapcore.EncoderConfig) { c.EncodeTime = zapcore.RFC3339NanoTimeEncoder }),
	), nil
}

// useLogger makes the libraries that log by way of controller-runtime's global write where we do.
func useLogger(log logr.Logger) { ctrl.SetLogger(log) }

// redirectLibraries makes the libraries that log by way of klog's global follow useLogger. klog's global is not guarded:
// it is set once, before anything that may log runs.
func redirectLibraries() { klog.SetLogger(ctrl.Log.WithName("kubernetes")) }
