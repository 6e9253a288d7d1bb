/** Name of the socket in the data directory at which a running server takes its operator's orders (admin.ts). */
export const ADMIN_SOCKET = 'admin.sock';
