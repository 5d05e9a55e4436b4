# Everything is built by cargo; this file knows the names under which people look for things.
#
#   make            build, and leave the programs in src/, where upstream's scripts expect them
#   make test       the Rust tests, then the upstream suite's units of tcl-compat/units.txt on the built programs
#   make bench      compare with the redis-server and valkey-server that are found; ARGS='--quick' passes options
#   make asan       the tests of the files with unsafe code, under AddressSanitizer
#   make fuzz       every fuzz target for FUZZ_SECONDS each
#   make install    copy the programs to $(PREFIX)/bin
#   make clean      remove what was built

CARGO ?= cargo
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 600
ARGS ?=

# A program a source in src/bin: a file, or a folder with a main.rs.
PROGRAMS := $(patsubst src/bin/%.rs,%,$(wildcard src/bin/*.rs)) $(patsubst src/bin/%/main.rs,%,$(wildcard src/bin/*/main.rs))
# Programs that are redis-server under another name.
ALIASES := redis-check-rdb redis-check-aof
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
HOST := $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: all test test-rust test-tcl bench asan fuzz install clean

all:
	$(CARGO) build --release --bins
	install -m 755 $(addprefix $(RELEASE)/,$(PROGRAMS)) src/
	for alias in $(ALIASES); do ln -sf redis-server src/$$alias; done

test: test-rust test-tcl

test-rust:
	$(CARGO) test --no-fail-fast

test-tcl: all
	tcl-compat/prerequisites
	tcl-compat/run

bench: all
	$(CARGO) bench --bench compare -- $(ARGS)

# Sanitizers are nightly options of a compiler whose stable release has them all the same. AddressSanitizer can only watch an
# allocator that it knows, hence the feature.
asan:
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Cforce-frame-pointers=yes' \
	  $(CARGO) test --target $(HOST) --target-dir target/asan --features system-malloc --lib -- ds:: db:: persistence:: scripting::

# cargo-fuzz asks for nightly options as well.
fuzz:
	@test -d fuzz || { echo 'There are no fuzz targets (no folder fuzz/).' >&2; exit 1; }
	command -v cargo-fuzz >/dev/null || $(CARGO) install --locked cargo-fuzz
	set -e; targets=$$($(CARGO) fuzz list); for target in $$targets; do \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS); \
	done

install: all
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(addprefix src/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin/
	for alias in $(ALIASES); do ln -sf redis-server $(DESTDIR)$(PREFIX)/bin/$$alias; done

clean:
	$(CARGO) clean
	rm -f $(addprefix src/,redis-server redis-cli redis-benchmark redis-sentinel redis-check-rdb redis-check-aof)
