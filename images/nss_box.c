/*
 * The name of a job's user: a module of the C library's name service (nsswitch.conf).
 *
 * Each job has a uid of its own out of a container's range, which no /etc/passwd of a
 * read-only image could list. Asked for any uid from UID_FIRST on that the files don't
 * know, this answers `box`; asked for `box`, it answers with the asking process's own.
 * The same for groups, as a job's gid is its uid. Statically linked programs that don't
 * use the C library's name service (Go's) go by USER and HOME.
 */

#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#define UID_FIRST 1000 /* the least that the setting uid_first may be */

static char *const nobody[] = {NULL};

static char *put(char **at, size_t *left, const char *text)
{
    size_t size = strlen(text) + 1;
    char *start = *at;

    if (size > *left)
        return NULL;
    memcpy(start, text, size);
    *at += size;
    *left -= size;
    return start;
}

static enum nss_status too_small(int *error)
{
    *error = ERANGE; /* the caller comes again with more room */
    return NSS_STATUS_TRYAGAIN;
}

static enum nss_status not_found(int *error)
{
    *error = ENOENT;
    return NSS_STATUS_NOTFOUND;
}

enum nss_status _nss_box_getpwuid_r(
    uid_t uid, struct passwd *user, char *at, size_t left, int *error)
{
    if (uid < UID_FIRST || uid == (uid_t)-1)
        return not_found(error);
    user->pw_name = put(&at, &left, "box");
    user->pw_passwd = put(&at, &left, "x");
    user->pw_gecos = put(&at, &left, "");
    user->pw_dir = put(&at, &left, "/box/home");
    user->pw_shell = put(&at, &left, "/bin/bash");
    user->pw_uid = uid;
    user->pw_gid = uid;
    return user->pw_shell ? NSS_STATUS_SUCCESS : too_small(error);
}

enum nss_status _nss_box_getpwnam_r(
    const char *name, struct passwd *user, char *at, size_t left, int *error)
{
    if (strcmp(name, "box"))
        return not_found(error);
    return _nss_box_getpwuid_r(getuid(), user, at, left, error);
}

enum nss_status _nss_box_getgrgid_r(
    gid_t gid, struct group *group, char *at, size_t left, int *error)
{
    if (gid < UID_FIRST || gid == (gid_t)-1)
        return not_found(error);
    group->gr_name = put(&at, &left, "box");
    group->gr_passwd = put(&at, &left, "x");
    group->gr_mem = (char **)nobody;
    group->gr_gid = gid;
    return group->gr_name && group->gr_passwd ? NSS_STATUS_SUCCESS : too_small(error);
}

enum nss_status _nss_box_getgrnam_r(
    const char *name, struct group *group, char *at, size_t left, int *error)
{
    if (strcmp(name, "box"))
        return not_found(error);
    return _nss_box_getgrgid_r(getgid(), group, at, left, error);
}
