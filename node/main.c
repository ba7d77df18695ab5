/*
 * sealpostd: the one program. Its verbs are init, join and run (the default); `--role` is how the supervisor
 * starts a role. Exit status: 0; 1: it did not work (the reason is on standard error); 2: wrong usage; 78: it
 * cannot run as configured.
 */
#include "node/config.h"
#include "node/role.h"
#include "node/verbs.h"

#include <getopt.h>

#define EXIT_USAGE 2

static const char usage_text[] =
    "sealpostd: clustered e-mail encryption gateway\n"
    "\n"
    "  sealpostd init --config FILE [--cluster-name NAME] [--admin-token-file FILE]\n"
    "      make the first node of a new cluster\n"
    "  sealpostd join --config FILE (TOKEN | --token-file FILE)\n"
    "      make a node of an existing cluster; TOKEN comes from 'sealpostctl node token'\n"
    "  sealpostd [run] --config FILE\n"
    "      run this node until SIGTERM\n"
    "\n"
    "  --config FILE   the node's configuration (default /etc/sealpost/node.conf)\n"
    "  --help          this text\n"
    "  --version       the release\n";

struct command_line {
    const char *verb;
    const char *config_path;
    const char *cluster_name;
    const char *admin_token_file;
    const char *token_file;
    const char *token;
};

static int usage_error(const char *text, const char *what)
{
    fprintf(stderr, "sealpostd: %s%s\nTry 'sealpostd --help'.\n", text, what);
    return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int command_line_read(int argc, char **argv, struct command_line *c)
{
    enum { OPT_CONFIG = 256, OPT_CLUSTER_NAME, OPT_ADMIN_TOKEN_FILE, OPT_TOKEN_FILE, OPT_HELP, OPT_VERSION };
    static const struct option options[] = {
        {"config", required_argument, NULL, OPT_CONFIG},
        {"cluster-name", required_argument, NULL, OPT_CLUSTER_NAME},
        {"admin-token-file", required_argument, NULL, OPT_ADMIN_TOKEN_FILE},
        {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
        {"help", no_argument, NULL, OPT_HELP},
        {"version", no_argument, NULL, OPT_VERSION},
        {NULL, 0, NULL, 0},
    };
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case OPT_CONFIG:
            c->config_path = optarg;
            break;
        case OPT_CLUSTER_NAME:
            c->cluster_name = optarg;
            break;
        case OPT_ADMIN_TOKEN_FILE:
            c->admin_token_file = optarg;
            break;
        case OPT_TOKEN_FILE:
            c->token_file = optarg;
            break;
        case OPT_HELP:
            fputs(usage_text, stdout);
            return 0;
        case OPT_VERSION:
            puts("sealpostd " SEALPOST_VERSION);
            return 0;
        default:
            return usage_error("unknown option, or one without its value: ", argv[optind - 1]);
        }
    }
    if (optind < argc) {
        c->verb = argv[optind++];
    }
    bool init = strcmp(c->verb, "init") == 0, join = strcmp(c->verb, "join") == 0;
    if (!init && !join && strcmp(c->verb, "run") != 0) {
        return usage_error("there is no verb ", c->verb);
    }
    if (join && optind < argc) {
        c->token = argv[optind++];
    }
    if (optind < argc) {
        return usage_error("one argument too many: ", argv[optind]);
    }
    if (!init && (c->cluster_name != NULL || c->admin_token_file != NULL)) {
        return usage_error("--cluster-name and --admin-token-file belong to ", "init");
    }
    if (!join && c->token_file != NULL) {
        return usage_error("--token-file belongs to ", "join");
    }
    if (join && (c->token != NULL) == (c->token_file != NULL)) {
        return usage_error("join needs a token: ", "TOKEN or --token-file FILE (one of them)");
    }
    if (init && c->cluster_name != NULL && (c->cluster_name[0] == '\0' || strlen(c->cluster_name) > 63)) {
        return usage_error("a cluster's name has 1 to 63 bytes: ", c->cluster_name);
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct command_line c = {.verb = "run", .config_path = "/etc/sealpost/node.conf"};
    static struct node_config config;
    struct failure f = {0};

    if (argc > 1 && strcmp(argv[1], "--role") == 0) {
        return role_start(argc, argv);
    }
    int code = command_line_read(argc, argv, &c);
    if (code >= 0) {
        return code;
    }
    if (node_config_read(c.config_path, &config, &f) != STATUS_OK) {
        fprintf(stderr, "sealpostd: %s\n", f.text);
        return EXIT_FATAL;
    }
    if (strcmp(c.verb, "init") == 0) {
        return init_run(&config, &(struct init_options){
                                     .config_path = c.config_path,
                                     .cluster_name = c.cluster_name != NULL ? c.cluster_name : "sealpost",
                                     .admin_token_file = c.admin_token_file,
                                 });
    }
    if (strcmp(c.verb, "join") == 0) {
        return join_run(&config, &(struct join_options){
                                     .config_path = c.config_path,
                                     .token = c.token,
                                     .token_file = c.token_file,
                                 });
    }
    return supervisor_run(&config, c.config_path);
}
