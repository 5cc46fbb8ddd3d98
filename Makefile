# make demo   set up, then one real shot from film to film (CLIP=FILE for your own), results in out/
# make gallery   two shots through every mode of both transfers, pictures in out/gallery/
# make test   set up, then every test
# make test-blender BPY=4.2.23   the Blender tests with another Blender (see docs/blender.md)
PYTHON ?= python3.11
RUN = . .venv/env.sh && .venv/bin/python

.PHONY: setup demo gallery test test-blender zip clean

setup:
	@bash tools/setup.sh $(PYTHON)

demo: setup
	@$(RUN) -m tools.demo $(if $(CLIP),"$(CLIP)") </dev/null

gallery: setup
	@$(RUN) -m tools.gallery </dev/null

test: setup
	@$(RUN) -m ruff check .
	@$(RUN) -m pytest -q </dev/null

test-blender: setup
	@bash tools/test_blender.sh $(BPY)

zip: setup
	@$(RUN) -m tools.build_zip

clean:
	rm -rf out dist .pytest_cache .hypothesis .ruff_cache
