# Under every language: Debian 13 and the python3 that the runner needs.
ARG ROOT
FROM ${ROOT}
RUN printf 'Acquire::Retries "3";\nAPT::Install-Recommends "false";\n' \
        > /etc/apt/apt.conf.d/80-warmbox \
 && apt-get update \
 && apt-get install -y python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
ENV LANG=C.UTF-8
