# Sourced by matrix and arm64, in the repository's root: what can be tested without torch.
# shellcheck shell=bash disable=SC2034
# install_requires of setup.cfg but torch
mapfile -t needs < <(sed -n '/^install_requires/,/^$/s/^    \([a-zA-Z].*\)/\1/p' setup.cfg | grep -v '^torch')
free=(test/perception test/rig test/sync test/media_files test/test_config.py test/test_settings.py
    test/test_errors.py test/test_timebase.py test/test_downmix.py test/test_resources.py
    test/test_atomic_write.py test/test_packaging.py)
