# Under every language: Debian 13 and the python3 that the runner needs.
ARG ROOT
FROM ${ROOT}
# Not every mmdebstrap writes down the updates' suites: they lie beside the main one.
RUN list=/etc/apt/sources.list; . /etc/os-release; \
    if [ -s $list ] && ! grep -q security $list; then \
        mirror=$(awk '/^deb / { print $2; exit }' $list); \
        printf 'deb %s main\n' "$mirror $VERSION_CODENAME-updates" \
            "$mirror-security $VERSION_CODENAME-security" >> $list; \
    fi
RUN printf 'Acquire::Retries "3";\nAPT::Install-Recommends "false";\n' \
        > /etc/apt/apt.conf.d/80-warmbox \
 && apt-get update \
 && apt-get upgrade -y \
 && apt-get install -y python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
ENV LANG=C.UTF-8
