/* SPDX-License-Identifier: MIT */
#include "owner_json.h"

#include <errno.h>

json_t *owner_to_json(const struct sfs_owner *owner)
{
	return json_pack("{s:I,s:I,s:I}", "mode", (json_int_t)owner->mode, "uid",
		(json_int_t)owner->uid, "gid", (json_int_t)owner->gid);
}

int owner_from_json(json_t *json, struct sfs_owner *ret_owner)
{
	json_int_t mode, uid, gid;
	if (json_unpack(json, "{s:I,s:I,s:I}", "mode", &mode, "uid", &uid, "gid", &gid) < 0 ||
		mode < 0 || mode > 07777 || uid < 0 || uid > UINT32_MAX || gid < 0 ||
		gid > UINT32_MAX)
		return -EBADMSG;
	*ret_owner = (struct sfs_owner){(uint32_t)mode, (uint32_t)uid, (uint32_t)gid};
	return 0;
}
