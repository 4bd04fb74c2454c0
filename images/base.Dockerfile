# Under every language: Debian 13 and the python3 that the runner needs.
ARG ROOT
FROM ${ROOT} AS made
# Not every mmdebstrap writes down the updates' suites: they lie beside the main one.
RUN list=/etc/apt/sources.list; . /etc/os-release; \
    if [ -s $list ] && ! grep -q security $list; then \
        mirror=$(awk '/^deb / { print $2; exit }' $list); \
        printf 'deb %s main\n' "$mirror $VERSION_CODENAME-updates" \
            "$mirror-security $VERSION_CODENAME-security" >> $list; \
    fi
RUN printf '%s\n' 'Acquire::Retries "3";' 'APT::Install-Recommends "false";' \
        'APT::Keep-Downloaded-Packages "false";' 'APT::AutoRemove::SuggestsImportant "false";' \
        > /etc/apt/apt.conf.d/80-warmbox \
 && apt-get update \
 && apt-get upgrade -y \
 && apt-get install -y python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
# Every uid that a job may have is the user `box`.
COPY nss_box.c /tmp/
RUN apt-get update \
 && apt-get install -y gcc libc6-dev \
 && gcc -shared -fPIC -O2 -Wall -Wextra -Werror -Wl,-soname,libnss_box.so.2 \
        -o "/usr/lib/$(gcc -print-multiarch)/libnss_box.so.2" /tmp/nss_box.c \
 && sed -i -E 's/^(passwd|group):.*/& box/' /etc/nsswitch.conf \
 && apt-get purge -y --auto-remove gcc libc6-dev \
 && rm -rf /tmp/* /var/lib/apt/lists/* /var/cache/apt/*.bin
# One layer of it all. A name that is not there is looked for in each layer, and a compiler
# looks for hundreds: two layers more cost a small C program a twentieth of its time.
FROM scratch
COPY --from=made / /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
